"""The middleware: refusals before a service sees a request."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.access.api_key import make_key
from shared.access.authenticator import Authenticator, TokenVerifier
from shared.access.caller import Caller
from shared.access.key_file import KeyFile
from shared.access.oidc.settings import OidcSettings
from shared.access.oidc.token_verifier import OidcTokenVerifier
from shared.access.route_table import RouteTable
from shared.access.scope import Scope
from shared.errors import HomeostatError
from shared.http.access_check import CALLER, AccessCheck, Identify
from tests.fakes.identity_provider import AUDIENCE, running_provider


class Service:
    """Records what reaches it; refusals are recorded by their status."""

    def __init__(self, folder: Path) -> None:
        file = KeyFile(folder / "keys.json")
        with file.changing() as keys:
            key, self.text = make_key("ann", frozenset({Scope.READ}), datetime.now(UTC))
            keys[key.key_id] = key
        self.seen: list[MutableMapping[str, Any]] = []
        self.file = file
        self.use()
        self.refused: list[int] = []

    def use(
        self,
        tokens: TokenVerifier | None = None,
        identify: Identify | None = None,
        delegates: tuple[str, ...] = (),
    ) -> None:
        """Check with a verifier of tokens, or as the service itself does."""

        async def is_delegate(name: str) -> bool:
            return name in delegates

        self.app = AccessCheck(
            self._serve,
            routes=RouteTable.of("retraining"),
            authenticator=Authenticator(self.file, anonymous=False, tokens=tokens),
            refuse=self._refuse,
            identify=identify,
            is_delegate=is_delegate,
        )

    async def _serve(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        self.seen.append(scope)

    def _refuse(self, error: Exception, path: str) -> Any:
        assert isinstance(error, HomeostatError)
        self.refused.append(error.status)

        async def nothing(scope: Any, receive: Any, send: Any) -> None: ...

        return nothing

    def ask(self, method: str, path: str, *credentials: str) -> int:
        """200 if the service saw the request, else the status of the refusal."""
        headers = [(b"authorization", one.encode()) for one in credentials]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        before = len(self.refused)
        asyncio.run(self.app(scope, None, None))  # type: ignore[arg-type]
        return self.refused[-1] if len(self.refused) > before else 200


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_public_routes_need_nothing(service: Service) -> None:
    assert service.ask("GET", "/health/ready") == 200
    assert service.ask("GET", "/health/ready", "Bearer wrong") == 200
    assert CALLER not in service.seen[0]


def test_scope_decides(service: Service) -> None:
    key = f"Bearer {service.text}"
    assert service.ask("GET", "/runs", key) == 200
    assert service.seen[0][CALLER].name == "ann"
    assert service.ask("POST", "/runs/run-1/approve", key) == 403
    assert service.ask("GET", "/runs") == 401
    assert service.ask("GET", "/runs", "Bearer wrong") == 401


def test_delegate_passes_where_the_table_says_so(service: Service) -> None:
    key = f"Bearer {service.text}"
    service.use(delegates=("ann", "anonymous"))
    for path in ("/runs/run-1/approve", "/runs/run-1/reject", "/runs/run-1/approve\n"):
        assert service.ask("POST", path, key) == 200
        assert service.ask("POST", path) == 401
    for path in ("/delegations", "/delegations/1/revoke", "/triggers", "/models/toy/rollback"):
        assert service.ask("POST", path, key) == 403
    service.use(delegates=("bob",))
    assert service.ask("POST", "/runs/run-1/approve", key) == 403


def test_two_credentials_are_refused(service: Service) -> None:
    key = f"Bearer {service.text}"
    assert service.ask("GET", "/runs", key, key) == 401
    assert service.ask("GET", "/runs", "Bearer wrong", key) == 401


def test_unreadable_keys_admit_nobody(service: Service) -> None:
    service.file.path.write_text("{")
    service.file._looked_at = float("-inf")
    assert service.ask("GET", "/runs", f"Bearer {service.text}") == 503


def test_other_events_pass(service: Service) -> None:
    asyncio.run(service.app({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert [scope["type"] for scope in service.seen] == ["lifespan"]


def test_token_is_verified_with_keys_that_are_fetched_meanwhile(service: Service) -> None:
    with running_provider() as provider:
        service.use(OidcTokenVerifier.of(OidcSettings(issuer=provider.issuer, audience=AUDIENCE)))
        assert service.ask("GET", "/runs", f"Bearer {provider.token(scope='read')}") == 200
        assert service.seen[-1][CALLER].name == "oidc:ada"
        assert service.ask("POST", "/runs/x/approve", f"Bearer {provider.token(scope='read')}") == 403
        assert service.ask("GET", "/runs", f"Bearer {provider.token(aud='another')}") == 401
        assert service.ask("GET", "/runs", f"Bearer {service.text}") == 200


def test_token_of_an_unreachable_provider_is_503(service: Service) -> None:
    with running_provider() as provider:
        service.use(OidcTokenVerifier.of(OidcSettings(issuer=provider.issuer, audience=AUDIENCE)))
        provider.failure = 503
        assert service.ask("GET", "/runs", f"Bearer {provider.token()}") == 503
        assert service.ask("GET", "/runs", f"Bearer {service.text}") == 200


def test_service_may_identify_callers_itself(service: Service) -> None:
    async def identify(scope: MutableMapping[str, Any]) -> Caller:
        return Caller("by itself", frozenset({Scope.READ}))

    service.use(None, identify)
    assert service.ask("GET", "/runs") == 200
    assert service.seen[-1][CALLER].name == "by itself"
    assert service.ask("POST", "/runs/x/approve") == 403
