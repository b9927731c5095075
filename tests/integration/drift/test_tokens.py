"""A real drift service and tokens of an identity provider, over HTTP."""

from __future__ import annotations

from pathlib import Path

from tests import local_http
from tests.fakes.callers import local_headers
from tests.fakes.identity_provider import AUDIENCE, running_provider
from tests.integration.drift.processes import Process, release
from tests.unit.services.drift.world import World
from tests.waiting import bound

WITHOUT_BROKER = "127.0.0.1:1"


def test_person_with_a_token_reads_and_evaluates(tmp_path: Path) -> None:
    world = World(tmp_path)
    release(world, "spoken")
    local_headers(tmp_path)
    with running_provider("RS256") as provider:
        drift = Process(
            tmp_path,
            WITHOUT_BROKER,
            HOMEOSTAT_ANONYMOUS_ACCESS="false",
            HOMEOSTAT_OIDC_ISSUER=provider.issuer,
            HOMEOSTAT_OIDC_AUDIENCE=AUDIENCE,
            HOMEOSTAT_OIDC_ROLES_CLAIM="groups",
            HOMEOSTAT_OIDC_ROLES="ml=operator",
        )

        def answers(token: str) -> tuple[int, int]:
            """The statuses of reading, and of a request for an evaluation."""
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            read = local_http.get(f"{drift.url}/verdicts", headers=headers, timeout=bound(30))
            path = f"{drift.url}/models/spoken/evaluations"
            asked = local_http.post(path, json={"end": "nonsense"}, headers=headers, timeout=bound(30))
            return read.status_code, asked.status_code

        try:
            assert answers("") == (401, 401)
            assert answers(provider.token(scope="predict", groups=["other"])) == (403, 403)
            assert answers(provider.token(aud="another", groups=["ml"])) == (401, 401)
            assert answers(provider.token(scope="read")) == (200, 403)
            # 422: past the access check, the body is wrong.
            assert answers(provider.token(scope="", groups=["ml"])) == (200, 422)
            provider.failure = 503  # its keys are known by now
            assert answers(provider.token(scope="operate read")) == (200, 422)
        finally:
            assert drift.end() == 0
