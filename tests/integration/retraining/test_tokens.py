"""A real retraining service and tokens of an identity provider, over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import local_http
from tests.fakes.identity_provider import AUDIENCE, running_provider
from tests.fakes.retraining_installation import MODEL, make_installation
from tests.fakes.retraining_service import ServiceProcess


def test_person_with_a_token_starts_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running_provider("RS256") as provider:
        monkeypatch.setenv("HOMEOSTAT_OIDC_ISSUER", provider.issuer)
        monkeypatch.setenv("HOMEOSTAT_OIDC_AUDIENCE", AUDIENCE)
        monkeypatch.setenv("HOMEOSTAT_OIDC_ROLES_CLAIM", "groups")
        monkeypatch.setenv("HOMEOSTAT_OIDC_ROLES", "ml=operator")
        installation = make_installation(tmp_path, days=15, automation="observe")
        service = ServiceProcess(installation)

        def trigger(token: str) -> int:
            return local_http.post(
                service.url("/triggers"),
                json={"model": MODEL, "reason": "please"},
                headers={"Authorization": f"Bearer {token}"},
                timeout=30,
            ).status_code

        try:
            service.start()
            service.deploy()
            assert trigger(provider.token(scope="read", groups=["other"])) == 403
            assert trigger(provider.token(aud="another", groups=["ml"])) == 401
            assert trigger(provider.token(scope="", groups=["ml"])) == 202
            provider.failure = 503  # its keys are known by now
            assert trigger(provider.token(scope="operate")) == 202
            actors = {one["actor"] for one in service.get("/decisions")["decisions"]}
            assert actors == {"oidc:ada"}
        finally:
            service.end()
