"""Every route of inference with every state of credentials, on both paths, with and without anonymous access."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from shared.access.route_table import PUBLIC, ROUTES
from shared.access.scope import ANONYMOUS_SCOPES, ROLES, Scope
from tests.fakes.api_keys import ApiKeys, bearer
from tests.fakes.own_address import own_address
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import ROOT, InferenceProcess
from tests.waiting import bound

TABLE = ROUTES["inference"]
TENSORS = [
    {"name": "amount", "datatype": "FP32", "shape": [1], "data": [1.5]},
    {"name": "count", "datatype": "INT64", "shape": [1], "data": [2]},
    {"name": "member", "datatype": "BOOL", "shape": [1], "data": [True]},
    {"name": "colour", "datatype": "BYTES", "shape": [1], "data": ["red"]},
]
BODIES = {
    "/predict": {"model": "toy", "rows": [ROW]},
    "/v2/models/{model}/infer": {"inputs": TENSORS},
    "/endpoints/{model}/invocations": {"instances": [ROW]},
    "/invocations": {"instances": [ROW]},
}


class Server(NamedTuple):
    process: InferenceProcess
    anonymous: bool


@pytest.fixture(scope="module")
def keys(toys: ToyStore) -> ApiKeys:
    return ApiKeys(toys.home / "keys" / "api_keys.json")


@pytest.fixture(scope="module")
def texts(keys: ApiKeys) -> dict[str, str]:
    """Keys by name: `only <scope>` and `all but <scope>`, a revoked and an expired one, and one with a rate."""
    made = {}
    for scope in Scope:
        made[f"only {scope}"] = keys.make(f"only-{scope}", scope)
        made[f"all but {scope}"] = keys.make(f"all-but-{scope}", *(set(Scope) - {scope}))
    made["all"] = keys.make("all", *Scope)
    made["revoked"] = keys.make("revoked", *Scope)
    keys.revoke("revoked")
    made["expired"] = keys.make("expired", *Scope, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    made["limited"] = keys.make("limited", *Scope, requests_per_second=4)
    return made


@pytest.fixture(scope="module")
def version(toys: ToyStore) -> str:
    """The released version."""
    return toys.put_and_release(0.25, kind="probability").version


@pytest.fixture(scope="module")
def servers(toys: ToyStore, texts: dict[str, str], version: str) -> Iterator[dict[str, Server]]:
    """Two paths, with and without anonymous access; with it BentoML is told to listen on every address."""
    with ExitStack() as ending:
        started = {}
        for name, fast, anonymous in (
            ("fast", True, False),
            ("bentoml", False, False),
            ("fast, anonymous", True, True),
            ("bentoml, anonymous", False, True),
        ):
            process = InferenceProcess(
                toys.home,
                key=texts["all"],
                options=("--host", "0.0.0.0") if anonymous else (),
                HOMEOSTAT_INFERENCE_FAST_PATH=str(fast).lower(),
                HOMEOSTAT_ANONYMOUS_ACCESS=str(anonymous).lower(),
            )
            ending.callback(process.stop)
            started[name] = Server(process, anonymous)
        for server in started.values():
            server.process.wait_live()
            server.process.wait_served(version)
        yield started


@pytest.fixture(params=["fast", "bentoml", "fast, anonymous", "bentoml, anonymous"])
def server(servers: dict[str, Server], request: pytest.FixtureRequest) -> Server:
    return servers[request.param]


def states(texts: dict[str, str], needed: Scope) -> dict[str, tuple[list[tuple[str, str]], int | None]]:
    """Headers by state of the credentials, and the status they are refused with; None if they are not.

    The state `none` is that of a server without anonymous access.
    """
    right = texts[f"only {needed}"]
    another_secret = right[: -len(right.split("_", 2)[2])] + texts["all"].split("_", 2)[2]
    return {
        "right scope": ([("Authorization", f"Bearer {right}")], None),
        "scheme in lower case": ([("authorization", f"bearer {right}")], None),
        "none": ([], 401),
        "malformed": ([("Authorization", "Bearer hs_nonsense")], 401),
        "not ASCII": ([("Authorization", "Bearer \xff\xfe")], 401),
        "no key": ([("Authorization", "Bearer")], 401),
        "empty": ([("Authorization", "")], 401),
        "wrong secret": ([("Authorization", f"Bearer {another_secret}")], 401),
        "unknown": ([("Authorization", f"Bearer hs_{'0' * 12}_{'a' * 43}")], 401),
        "revoked": ([("Authorization", f"Bearer {texts['revoked']}")], 401),
        "expired": ([("Authorization", f"Bearer {texts['expired']}")], 401),
        "other scheme": ([("Authorization", f"Basic {right}")], 401),
        "two headers": ([("Authorization", f"Bearer {right}")] * 2, 401),
        "missing scope": ([("Authorization", f"Bearer {texts[f'all but {needed}']}")], 403),
    }


@pytest.mark.parametrize("route", sorted(TABLE), ids=" ".join)
def test_every_route_in_every_state(server: Server, texts: dict[str, str], route: tuple[str, str]) -> None:
    """Each state twice, on a connection that has answered the right key: the fast path knows these headers."""
    method, template = route
    path = template.replace("{model}", "toy").replace("{version}", "1" * 64)
    needed = TABLE[route]
    with httpx.Client(base_url=server.process.url, timeout=bound(30), trust_env=False) as client:

        def ask(headers: list[tuple[str, str]]) -> httpx.Response:
            sent = [(name.encode(), value.encode("latin-1")) for name, value in headers]
            json_body = BODIES.get(template, {}) if method == "POST" else None
            return client.request(method, path, headers=sent, json=json_body)

        for state, (headers, refused) in states(texts, needed or Scope.READ).items():
            if needed is PUBLIC or (state == "none" and server.anonymous and needed in ANONYMOUS_SCOPES):
                refused = None
            for _ in range(2):
                answer = ask(headers)
                status = answer.status_code
                if refused is None:
                    assert status not in (401, 403, 429), (state, answer.text)
                    assert status == 200 or template not in BODIES, (state, answer.text)
                else:
                    assert status == refused, (state, answer.text)
                    check_form(answer, template)
                    assert ask(states(texts, needed or Scope.READ)["right scope"][0]).status_code not in (
                        401,
                        403,
                    )


def check_form(answer: httpx.Response, path: str) -> None:
    """A refusal has the form of its path, says what to do, and is not kept by a cache of credentials."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers.get("www-authenticate") == (
        'Bearer realm="homeostat"' if answer.status_code == 401 else None
    )
    if answer.request.method == "HEAD":
        return
    document = answer.json()
    if path in ("/invocations", "/version") or path.startswith("/endpoints"):
        code = "UNAUTHENTICATED" if answer.status_code == 401 else "PERMISSION_DENIED"
        assert document["error_code"] == code
        said = document["message"]
    else:
        said = document["error"] + document.get("hint", "")
    assert "homeostat keys" in said or "send one" in said


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/predict"),
        ("DELETE", "/status"),
        ("OPTIONS", "/predict"),
        ("GET", "/static_content/swagger-ui.css"),
        ("POST", "/health/live"),
    ],
)
def test_paths_that_are_no_routes_need_credentials(
    server: Server, texts: dict[str, str], method: str, path: str
) -> None:
    url = server.process.url + path
    for key, statuses in (
        ("", (404, 405) if server.anonymous else (401,)),
        (texts["all but read"], (403,)),
        (texts["only read"], (404, 405)),
    ):
        headers = bearer(key) if key else {}
        assert httpx.request(method, url, headers=headers, trust_env=False).status_code in statuses, key


@pytest.mark.parametrize("path", ["/v2/models//infer", "/score_file/submit%0A", "/endpoints//invocations"])
def test_path_that_a_router_takes_for_a_route_needs_its_scope(
    server: Server, texts: dict[str, str], path: str
) -> None:
    url = server.process.url + path
    answer = httpx.post(url, json={"inputs": TENSORS}, headers=bearer(texts["only read"]), trust_env=False)
    assert answer.status_code == 403
    assert "lacks the scope predict" in answer.text


def test_revoked_key_is_refused_within_a_second(server: Server, keys: ApiKeys) -> None:
    name = f"leaver-{server.process.port}"
    with httpx.Client(base_url=server.process.url, headers=bearer(keys.make(name, Scope.PREDICT))) as client:

        def ask() -> int:
            return client.post("/predict", json=BODIES["/predict"]).status_code

        server.process.wait(lambda: ask() == 200, "the new key is known", 5)
        assert [ask() for _ in range(20)] == [200] * 20
        keys.revoke(name)
        start = time.monotonic()
        server.process.wait(lambda: ask() == 401, "the revoked key is refused", 5)
        assert time.monotonic() - start < 1.5 + bound(0.5)


def test_outcomes_are_logged_with_their_sender(
    servers: dict[str, Server], toys: ToyStore, texts: dict[str, str]
) -> None:
    """Whoever poisons outcomes has to be found."""
    for name, key, sender in (
        ("fast", texts["only outcomes"], "only-outcomes"),
        ("bentoml", texts["all but predict"], "all-but-predict"),
        ("fast, anonymous", "", "anonymous"),
    ):
        url, headers = servers[name].process.url, bearer(key) if key else {}
        asked = httpx.post(
            f"{url}/predict", json=BODIES["/predict"], headers=bearer(texts["all"]), trust_env=False
        )
        identity = asked.json()["predictions"][0]["prediction_id"]
        answer = httpx.post(
            f"{url}/outcomes",
            json={"prediction_id": identity, "value": 1},
            headers=headers,
            trust_env=False,
        )
        assert answer.status_code == 202, answer.text
        logged = b"".join(file.read_bytes() for file in (toys.home / "spool").rglob("*") if file.is_file())
        heads = [
            head for head in re.findall(rb'{"kind":"outcomes"[^}]*}', logged) if identity.encode() in head
        ]
        assert [json.loads(head)["sender"] for head in heads] == [sender]


def test_rate_of_a_key(server: Server, texts: dict[str, str]) -> None:
    with httpx.Client(base_url=server.process.url, headers=bearer(texts["limited"])) as client:
        answers = [client.post("/predict", json=BODIES["/predict"]) for _ in range(40)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 4 <= sum(answer.status_code == 200 for answer in answers) <= 40 - len(refused)
    assert refused
    assert refused[0].headers["retry-after"] == "1"
    assert "limited may send 4 requests per second" in refused[0].json()["error"]
    assert server.process.metric('homeostat_inference_errors_total{status="429"}') >= len(refused)


def test_locust_profile_sends_the_key(servers: dict[str, Server], keys: ApiKeys) -> None:
    key = keys.make("locust", *ROLES["client"])
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        "loadtests/locustfile.py",
        "--headless",
        "--only-summary",
    ]
    ran = subprocess.run(
        [*command, "--host", servers["fast"].process.url, "--load-profile", "steady", "--speed", "150"],
        cwd=ROOT,
        env={**os.environ, "HOMEOSTAT_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=bound(60),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_web_socket_is_refused(server: Server, texts: dict[str, str]) -> None:
    answer = httpx.get(
        server.process.url + "/predict",
        headers={
            **bearer(texts["all"]),
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        },
    )
    assert answer.status_code in (403, 405)


def test_refusals_are_counted_and_not_logged_as_predictions(server: Server) -> None:
    name = 'homeostat_inference_errors_total{status="401"}'
    before = server.process.metric(name)
    with httpx.Client(base_url=server.process.url, headers=bearer("hs_wrong")) as client:
        for path in ("/predict", "/schema.json", "/score_file"):
            assert client.request("GET" if path.endswith("json") else "POST", path).status_code == 401
    assert server.process.metric(name) == before + 3


def test_anonymous_access_on_an_address_of_the_network_is_refused_at_start(tmp_path: Path) -> None:
    server = InferenceProcess(tmp_path, HOMEOSTAT_INFERENCE_HOST="0.0.0.0", HOMEOSTAT_ANONYMOUS_ACCESS="true")
    said = "HOMEOSTAT_ANONYMOUS_ACCESS is on, but the service listens on 0.0.0.0"
    try:
        server.wait(lambda: said in server.log.read_text(), "the refusal is logged", 120)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{server.port}/health/live", timeout=2, trust_env=False)
    finally:
        server.stop()


@pytest.mark.skipif(not own_address(), reason="this machine has no address but loopback")
@pytest.mark.parametrize("name", ["fast, anonymous", "bentoml, anonymous"])
def test_option_of_bentoml_opens_nothing_to_the_network(
    servers: dict[str, Server], texts: dict[str, str], name: str
) -> None:
    """`--host` overrides the setting that is checked at start."""
    far = f"http://{own_address()}:{servers[name].process.port}"
    with httpx.Client(base_url=far, trust_env=False) as client:
        assert client.get("/health/live").status_code == 200
        for headers, status in ({}, 401), (bearer(texts["only predict"]), 200), ({}, 401):
            answer = client.post("/predict", json=BODIES["/predict"], headers=headers)
            assert answer.status_code == status
        assert client.get("/status.json").status_code == 401
