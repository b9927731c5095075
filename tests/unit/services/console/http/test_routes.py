"""The console's API: access, forwarding to retraining, responses."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.console.http.csrf import HEADER
from tests.fakes.loop_services import full_loop
from tests.unit.services.console.harness import Console, Page, run

APPROVE = "/api/runs/run-new/approve"
SHOWN = {"actor": "ada", "state": "waiting_for_approval", "gate_digest": "d1"}
BACK = {"actor": "ada", "reason": "worse at night", "to_generation": 2, "expected_generation": 3}


def posted(body: dict[str, Any], path: str = APPROVE, **headers: str) -> tuple[httpx.Response, list[Any]]:
    loop = full_loop()

    async def once() -> httpx.Response:
        return await Console(loop).post(path, body, **headers)

    return run(once), loop.posted


def test_approval_is_forwarded_with_the_user() -> None:
    answer, forwarded = posted(SHOWN)
    assert (answer.status_code, answer.json()["run"]["state"]) == (200, "promoting")
    assert forwarded == [("/retraining/runs/run-new/approve", {"actor": "ada"})]


def test_run_id_is_quoted() -> None:
    loop = full_loop()
    loop.run("a?b", "waiting_for_approval", gate=True, digest="d1")

    async def once() -> httpx.Response:
        return await Console(loop).post("/api/runs/a%3Fb/approve", SHOWN)

    assert run(once).status_code == 200
    assert loop.runs[0]["state"] == "promoting"


def test_rejection_is_forwarded() -> None:
    answer, forwarded = posted(SHOWN, "/api/runs/run-new/reject")
    assert answer.json()["run"]["state"] == "rejected"
    assert forwarded == [("/retraining/runs/run-new/reject", {"actor": "ada"})]


@pytest.mark.parametrize("seen", [{"state": "suggested"}, {"gate_digest": "another proof"}])
def test_changed_run_is_not_approved(seen: dict[str, str]) -> None:
    """Approval of a training is not approval of the version it produced."""
    answer, forwarded = posted({**SHOWN, **seen})
    assert answer.status_code == 409
    assert "nothing was done" in answer.json()["error"]
    assert "has changed since this page was rendered" in answer.json()["error"]
    assert forwarded == []


def test_first_acknowledgement_stays() -> None:
    loop = full_loop()
    key = "b" * 32

    async def twice() -> list[httpx.Response]:
        console = Console(loop)
        bodies = ({"actor": "ada", "note": "seen"}, {"actor": "bob"})
        return [await console.post(f"/api/causes/{key}/acknowledge", body) for body in bodies]

    first, second = run(twice)
    assert first.json()["acknowledgement"] == second.json()["acknowledgement"]
    assert loop.decisions[0]["acknowledged"]["actor"] == "ada"
    place = f"/retraining/causes/{key}/acknowledge"
    assert loop.posted == [(place, {"actor": "ada", "note": "seen"}), (place, {"actor": "bob"})]


def test_group_is_acknowledged_as_it_was_shown() -> None:
    loop = full_loop()
    for number in range(4):
        loop.decision(f"{number:032x}", state="data_fault" if number == 1 else "drift")
    shown = {"actor": "ada", "and_older": True, "issue": "drift", "expected_older": 3}

    async def twice() -> list[httpx.Response]:
        console = Console(loop)
        await console.aggregator.snapshot()
        loop.decision("c" * 32, state="drift")
        path = f"/api/causes/{3:032x}/acknowledge"
        return [
            await console.post(path, {**shown, "expected_older": 2}),
            await console.post(path, shown),
            await console.post(path, {**shown, "actor": "bob"}),
        ]

    behind, first, second = run(twice)
    assert (behind.status_code, "nothing was acknowledged" in behind.json()["error"]) == (409, True)
    assert [answer.json()["acknowledgement"]["acknowledged_older"] for answer in (first, second)] == [3, 0]
    left = [one["cause_key"] for one in loop.decisions if one["issue"] and not one["acknowledged"]]
    assert left == ["c" * 32, f"{1:032x}"]
    assert {one["acknowledged"]["actor"] for one in loop.decisions if one["acknowledged"]} == {"ada"}
    assert loop.posted[1] == (f"/retraining/causes/{3:032x}/acknowledge", shown)


def test_repeated_rollback_is_refused() -> None:
    loop = full_loop()

    async def thrice() -> list[httpx.Response]:
        console = Console(loop)
        return [await console.post("/api/models/flights/rollback", BACK) for _ in range(3)]

    answers = run(thrice)
    assert [answer.status_code for answer in answers] == [200, 409, 409]
    assert answers[0].json()["release"]["generation"] == 4
    assert "generation 3 was expected to be served, but generation 4 is" in answers[1].json()["error"]
    assert [(entry["generation"], entry["reason"], entry["note"]) for entry in loop.releases[3:]] == [
        (4, "rollback", "worse at night")
    ]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/models/flights/rollback", {**BACK, "expected_generation": None}, "expected_generation"),
        ("/api/models/flights/rollback", {**BACK, "to_generation": 0}, "to_generation"),
        ("/api/models/flights/rollback", {**BACK, "reason": "  "}, "reason"),
        ("/api/models/flights/rollback", {**BACK, "force": True}, "force"),
        ("/api/causes/x/acknowledge", {"actor": "ada", "and_older": 1}, "and_older"),
        ("/api/causes/x/acknowledge", {"actor": "ada", "expected_older": -1}, "expected_older"),
        (APPROVE, {**SHOWN, "state": "training"}, "state"),
        (APPROVE, {**SHOWN, "actor": "a" * 201}, "actor"),
    ],
)
def test_invalid_body_is_not_forwarded(path: str, body: Any, field: str) -> None:
    answer, forwarded = posted(body, path)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert forwarded == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:9999"}, 403),
        ({"Origin": "file://localhost:8005"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "", "Sec-Fetch-Site": "cross-site"}, 403),
        ({HEADER: ""}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:8005", "Origin": "http://evil.example:8005"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
    ],
)
def test_other_sites_cannot_act(headers: dict[str, str], status: int) -> None:
    answer, forwarded = posted(SHOWN, **headers)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert forwarded == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": ""},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "127.0.0.1:8005", "Origin": "https://127.0.0.1:8005"},
    ],
)
def test_own_page_and_programs_can_act(headers: dict[str, str]) -> None:
    answer, forwarded = posted(SHOWN, **headers)
    assert answer.status_code == 200
    assert len(forwarded) == 1


def test_unknown_host_reads_nothing() -> None:
    async def requests() -> list[int]:
        console = Console(full_loop())
        return [
            (await console.http.get(path, headers={"Host": "evil.example"})).status_code
            for path in ("/", "/main", "/status.json", "/reports/x")
        ]

    assert run(requests) == [421] * 4


def test_large_body_is_refused() -> None:
    answer, forwarded = posted({**SHOWN, "actor": "a" * (20 << 10)})
    assert answer.status_code == 413
    assert forwarded == []


def test_get_does_not_act() -> None:
    async def gets() -> int:
        return (await Console(full_loop()).http.get(APPROVE)).status_code

    assert run(gets) == 405


def test_error_of_retraining_is_passed_on() -> None:
    loop = full_loop()

    async def once() -> httpx.Response:
        return await Console(loop).post("/api/causes/nobody/acknowledge", {"actor": "ada"})

    answer = run(once)
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no cause nobody"})


def test_unreachable_retraining_did_nothing() -> None:
    loop = full_loop()
    loop.unreachable = {"retraining"}

    async def once() -> httpx.Response:
        return await Console(loop).post("/api/models/flights/rollback", BACK)

    answer = run(once)
    assert answer.status_code == 503
    assert answer.json()["error"] == "nothing was done: retraining does not respond"


def test_lost_response_is_not_reported_as_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = full_loop()

    async def once() -> httpx.Response:
        console = Console(loop)

        def lost(*_: Any) -> tuple[int, bytes]:
            raise httpx.ReadTimeout("late")

        await console.log_in()
        monkeypatch.setattr(loop, "answer", lost)
        return await console.post("/api/models/flights/rollback", BACK)

    answer = run(once)
    assert answer.status_code == 503
    assert "the action may or may not have been done" in answer.json()["error"]


def test_page_is_current_after_an_action() -> None:
    loop = full_loop()

    async def acts() -> list[bool]:
        console = Console(loop)
        before = (await console.http.get("/main")).text
        await console.post(APPROVE, SHOWN)
        return ["approve-run-new" in page for page in (before, (await console.http.get("/main")).text)]

    assert run(acts) == [True, False]


def test_security_headers_of_every_response() -> None:
    loop = full_loop()
    loop.lies["/drift/reports/v"] = b"<script>parent.document.title='taken'</script>"

    async def requests() -> dict[str, httpx.Headers]:
        console = Console(loop)
        return {
            path: (await console.http.get(path)).headers
            for path in ("/", "/main", "/status.json", "/reports/v", "/reports/v/content", "/none")
        }

    found = run(requests)
    framed = found["/reports/v/content"]
    for headers in found.values():
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        ours = "self" if headers is framed else "none"
        assert f"frame-ancestors '{ours}'" in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == ("SAMEORIGIN" if headers is framed else "DENY")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    around = found["/reports/v"]["Content-Security-Policy"]
    assert "frame-src 'self'" in around
    assert "script-src" not in around
    report = framed["Content-Security-Policy"]
    assert report.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in report
    assert "connect-src" not in report
    assert "unsafe" not in found["/"]["Content-Security-Policy"]


def test_missing_report_is_404() -> None:
    async def once() -> httpx.Response:
        return await Console(full_loop()).http.get("/reports/none/content")

    answer = run(once)
    assert (answer.status_code, "there is no report about none" in answer.text) == (404, True)


def test_report_that_drift_does_not_give_now_says_when_to_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = full_loop()
    monkeypatch.setattr(loop, "answer", lambda *_, **__: (429, b"{}"))

    async def once() -> httpx.Response:
        return await Console(loop).http.get("/reports/v/content")

    answer = run(once)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "too many requests with this key" in answer.text


def test_page_of_a_gate_is_relayed_and_runs_nothing() -> None:
    loop = full_loop()
    loop.lies["/retraining/runs/run-1/gate"] = b"<script>fetch('/')</script><p>gain"

    async def both() -> tuple[httpx.Response, httpx.Response]:
        http = Console(loop).http
        return await http.get("/runs/run-1/gate"), await http.get("/runs/none/gate")

    page, missing = run(both)
    assert (page.status_code, page.text.endswith("<p>gain")) == (200, True)
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none';")
    assert "script" not in policy
    assert (missing.status_code, "none has no gate result" in missing.text) == (404, True)


@pytest.mark.parametrize(("dest", "status"), [("document", 403), ("iframe", 200), ("", 200)])
def test_report_is_served_only_to_frames(dest: str, status: int) -> None:
    """As a page of its own it could send its content to another site in a URL."""
    loop = full_loop()
    loop.lies["/drift/reports/v"] = b"<p>the report"
    headers = {"Sec-Fetch-Dest": dest} if dest else {}

    async def once() -> httpx.Response:
        return await Console(loop).http.get("/reports/v/content", headers=headers)

    answer = run(once)
    assert (answer.status_code, "the report" in answer.text) == (status, status == 200)


def test_report_page_sandboxes_its_frame() -> None:
    async def once() -> str:
        return (await Console(full_loop()).http.get("/reports/%22%3E%3Cscript%3E")).text

    page = Page(run(once).removeprefix("<!doctype html>"))
    frame = page.one("iframe")
    assert frame.attributes["sandbox"] == "allow-scripts"
    assert frame.attributes["src"] == "/reports/%22%3E%3Cscript%3E/content"
    assert not page.all("script")
    assert [link.attributes["href"] for link in page.all("a")] == ["/"]


def test_status_json_has_the_same_data() -> None:
    async def once() -> Any:
        return (await Console(full_loop()).http.get("/status.json")).json()

    document = run(once)
    assert set(document) == {
        "delegations",
        "at",
        "components",
        "models",
        "verdicts",
        "decisions",
        "runs",
        "releases",
        "action_items",
        "stale",
    }
    assert document["models"][0]["servers"][0]["agrees"] is True
    assert document["action_items"][0]["about"] == "run-new"


def test_console_works_without_other_services() -> None:
    loop = full_loop()
    loop.unreachable = {"inference", "shipper", "sink", "drift", "retraining"}

    async def requests() -> list[int]:
        console = Console(loop)
        return [
            (await console.http.get(path)).status_code
            for path in ("/health/live", "/", "/main", "/status.json")
        ]

    assert run(requests) == [200] * 4


@pytest.mark.parametrize("name", ["%2E%2E", "%2E", "x" * 2_000], ids=["parent", "itself", "long"])
def test_name_that_no_url_can_hold_is_not_forwarded(name: str) -> None:
    """httpx resolves `..`: the action would reach another path of retraining. It refuses long URLs."""
    loop = full_loop()

    async def every() -> list[httpx.Response]:
        console = Console(loop)
        return [
            await console.post(f"/api/runs/{name}/approve", SHOWN),
            await console.post(f"/api/causes/{name}/acknowledge", {"actor": "ada"}),
            await console.post(f"/api/models/{name}/rollback", BACK),
            await console.http.get(f"/reports/{name}/content"),
        ]

    assert [answer.status_code for answer in run(every)] == [404] * 4
    assert loop.posted == []
