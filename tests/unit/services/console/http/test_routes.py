"""The console's own API: who may act, what is forwarded, what comes back."""

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


def test_approving_a_run_is_forwarded_in_the_person_s_name() -> None:
    answer, forwarded = posted(SHOWN)
    assert (answer.status_code, answer.json()["run"]["state"]) == (200, "promoting")
    assert forwarded == [("/retraining/runs/run-new/approve", {"actor": "ada"})]


def test_a_run_is_named_whatever_its_name() -> None:
    loop = full_loop()
    loop.run("a?b", "waiting_for_approval", gate=True, digest="d1")

    async def once() -> httpx.Response:
        return await Console(loop).post("/api/runs/a%3Fb/approve", SHOWN)

    assert run(once).status_code == 200
    assert loop.runs[0]["state"] == "promoting"


def test_rejecting_too() -> None:
    answer, forwarded = posted(SHOWN, "/api/runs/run-new/reject")
    assert answer.json()["run"]["state"] == "rejected"
    assert forwarded == [("/retraining/runs/run-new/reject", {"actor": "ada"})]


@pytest.mark.parametrize("seen", [{"state": "suggested"}, {"gate_digest": "another proof"}])
def test_a_run_that_has_moved_on_is_not_answered(seen: dict[str, str]) -> None:
    """Who let a training start has not said yes to what it made, though the button is the same."""
    answer, forwarded = posted({**SHOWN, **seen})
    assert answer.status_code == 409
    assert "nothing was done" in answer.json()["error"]
    assert "has changed since this page was rendered" in answer.json()["error"]
    assert forwarded == []


def test_acknowledging_is_forwarded_with_its_note_and_the_first_stands() -> None:
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


def test_a_group_is_acknowledged_as_it_was_shown_and_what_came_later_is_not() -> None:
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


def test_a_rollback_goes_back_once_however_often_it_is_sent() -> None:
    loop = full_loop()

    async def thrice() -> list[httpx.Response]:
        console = Console(loop)
        return [await console.post("/api/models/flights/rollback", BACK) for _ in range(3)]

    answers = run(thrice)
    assert [answer.status_code for answer in answers] == [200, 409, 409]
    assert answers[0].json()["release"]["generation"] == 4
    assert "generation 3 was expected to be served, but it is 4" in answers[1].json()["error"]
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
        (APPROVE, {**SHOWN, "actor": "   "}, "actor"),
        (APPROVE, {**SHOWN, "state": "training"}, "state"),
        (APPROVE, {**SHOWN, "actor": "a" * 201}, "actor"),
    ],
)
def test_a_wrong_body_is_named_and_not_forwarded(path: str, body: Any, field: str) -> None:
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
def test_another_site_s_page_cannot_act(headers: dict[str, str], status: int) -> None:
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
def test_this_page_and_a_program_can(headers: dict[str, str]) -> None:
    answer, forwarded = posted(SHOWN, **headers)
    assert answer.status_code == 200
    assert len(forwarded) == 1


def test_a_foreign_name_reads_nothing_either() -> None:
    async def looks() -> list[int]:
        console = Console(full_loop())
        return [
            (await console.http.get(path, headers={"Host": "evil.example"})).status_code
            for path in ("/", "/main", "/status.json", "/reports/x")
        ]

    assert run(looks) == [421] * 4


def test_a_body_without_end_is_refused() -> None:
    answer, forwarded = posted({**SHOWN, "actor": "a" * (20 << 10)})
    assert answer.status_code == 413
    assert forwarded == []


def test_nothing_acts_on_a_get() -> None:
    async def gets() -> int:
        return (await Console(full_loop()).http.get(APPROVE)).status_code

    assert run(gets) == 405


def test_retraining_s_words_and_status_come_through() -> None:
    loop = full_loop()

    async def once() -> httpx.Response:
        return await Console(loop).post("/api/causes/nobody/acknowledge", {"actor": "ada"})

    answer = run(once)
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no cause nobody"})


def test_a_retraining_that_is_away_did_nothing() -> None:
    loop = full_loop()
    loop.away = {"retraining"}

    async def once() -> httpx.Response:
        return await Console(loop).post("/api/models/flights/rollback", BACK)

    answer = run(once)
    assert answer.status_code == 503
    assert answer.json()["error"] == "nothing was done: retraining does not respond"


def test_a_lost_reply_is_not_told_as_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = full_loop()

    async def once() -> httpx.Response:
        console = Console(loop)

        def lost(*_: Any) -> tuple[int, bytes]:
            raise httpx.ReadTimeout("late")

        monkeypatch.setattr(loop, "answer", lost)
        return await console.post("/api/models/flights/rollback", BACK)

    answer = run(once)
    assert answer.status_code == 503
    assert "it is not known whether the action was done" in answer.json()["error"]


def test_who_a_proxy_names_is_who_acts_whatever_the_body_says() -> None:
    loop = full_loop()

    async def both() -> list[httpx.Response]:
        console = Console(loop, actor_header="x-person")
        named = await console.post(APPROVE, {**SHOWN, "actor": "mallory"}, **{"X-Person": "ada"})
        return [named, await console.post("/api/causes/x/acknowledge", {"actor": "mallory"})]

    named, unnamed = run(both)
    assert named.status_code == 200
    assert unnamed.status_code == 422
    assert loop.posted == [("/retraining/runs/run-new/approve", {"actor": "ada"})]


def test_after_an_act_the_page_is_of_then() -> None:
    loop = full_loop()

    async def acts() -> list[bool]:
        console = Console(loop)
        before = (await console.http.get("/main")).text
        await console.post(APPROVE, SHOWN)
        return ["approve-run-new" in page for page in (before, (await console.http.get("/main")).text)]

    assert run(acts) == [True, False]


def test_every_answer_carries_what_shuts_the_page_in() -> None:
    loop = full_loop()
    loop.lies["/drift/reports/v"] = b"<script>parent.document.title='taken'</script>"

    async def looks() -> dict[str, httpx.Headers]:
        console = Console(loop)
        return {
            path: (await console.http.get(path)).headers
            for path in ("/", "/main", "/status.json", "/reports/v", "/reports/v/content", "/none")
        }

    found = run(looks)
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


def test_a_report_nobody_has_is_not_found() -> None:
    async def once() -> httpx.Response:
        return await Console(full_loop()).http.get("/reports/none/content")

    answer = run(once)
    assert (answer.status_code, "there is no report about none" in answer.text) == (404, True)


@pytest.mark.parametrize(("dest", "status"), [("document", 403), ("iframe", 200), ("", 200)])
def test_a_report_is_no_page_of_its_own(dest: str, status: int) -> None:
    """It could leave for anywhere, with its text in the address."""
    loop = full_loop()
    loop.lies["/drift/reports/v"] = b"<p>the report"
    headers = {"Sec-Fetch-Dest": dest} if dest else {}

    async def once() -> httpx.Response:
        return await Console(loop).http.get("/reports/v/content", headers=headers)

    answer = run(once)
    assert (answer.status_code, "the report" in answer.text) == (status, status == 200)


def test_the_page_around_a_report_shuts_it_in() -> None:
    async def once() -> str:
        return (await Console(full_loop()).http.get("/reports/%22%3E%3Cscript%3E")).text

    page = Page(run(once).removeprefix("<!doctype html>"))
    frame = page.one("iframe")
    assert frame.attributes["sandbox"] == "allow-scripts"
    assert frame.attributes["src"] == "/reports/%22%3E%3Cscript%3E/content"
    assert not page.all("script")
    assert [link.attributes["href"] for link in page.all("a")] == ["/"]


def test_the_same_facts_are_there_as_json() -> None:
    async def once() -> Any:
        return (await Console(full_loop()).http.get("/status.json")).json()

    facts = run(once)
    assert set(facts) == {
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
    assert facts["models"][0]["servers"][0]["agrees"] is True
    assert facts["action_items"][0]["about"] == "run-new"


def test_it_lives_though_everything_else_is_away() -> None:
    loop = full_loop()
    loop.away = {"inference", "shipper", "sink", "drift", "retraining"}

    async def looks() -> list[int]:
        console = Console(loop)
        return [
            (await console.http.get(path)).status_code
            for path in ("/health/live", "/", "/main", "/status.json")
        ]

    assert run(looks) == [200] * 4
