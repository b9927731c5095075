"""The look at everything: what is said, what is not, and by whom; bounded whatever a service does."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from services.console.aggregation import poller as asking
from tests.fakes.loop_services import NOW, VERSIONS, FakeLoop, full_loop, places
from tests.unit.services.console.looking import BASE, Console, look, run

PARTS = ["inference", "shipper", "kafka", "sink", "drift", "retraining"]


def conditions(picture: object) -> dict[str, str]:
    return {part.name: part.condition for part in picture.parts}  # type: ignore[attr-defined]


def test_a_loop_that_is_well() -> None:
    picture = look(full_loop())
    assert conditions(picture) == dict.fromkeys(PARTS, "up")
    assert picture.stale == {}
    [model] = picture.models
    assert model.released is not None
    assert (model.released.generation, model.released.version) == (3, VERSIONS[2])
    [served] = model.servers
    assert (served.server, served.generation, served.agrees) == ("loop", 3, True)
    assert (model.frozen_loss, model.served_loss) == (0.57, 0.51)
    assert model.received.prediction == NOW - timedelta(seconds=4)
    assert model.received.lake_row == NOW - timedelta(seconds=8)
    assert model.received.outcome == NOW - timedelta(seconds=90)
    assert model.received.verdict == picture.verdicts[0].reached_at
    assert model.comes_back == 2
    assert [verdict.state for verdict in picture.verdicts[:3]] == ["drift", "data_fault", "insufficient_data"]


def test_a_verdict_shows_its_strongest_scores_and_counts_the_others() -> None:
    loop = full_loop()
    loop.verdicts[0]["scores"] += loop.verdicts[0]["scores"]
    verdict = look(loop).verdicts[0]
    assert [score.feature for score in verdict.scores[:2]] == ["dest", "dest"]
    assert [score.ratio or 0.0 for score in verdict.scores[:2]] == pytest.approx([1.8, 1.8])
    assert (len(verdict.scores), verdict.scores_left_out) == (3, 3)
    # A data check far below its threshold comes after a signal that is closer to its own.
    assert verdict.scores[2].method == "log_loss"


def test_an_installation_without_a_model_is_empty_and_well() -> None:
    picture = look(FakeLoop())
    assert conditions(picture) == dict.fromkeys(PARTS, "up")
    assert (picture.models, picture.verdicts, picture.runs, picture.releases, picture.needs) == ((),) * 5


@pytest.mark.parametrize("service", ["inference", "shipper", "sink", "drift", "retraining"])
def test_a_service_that_is_away_is_named_and_the_others_are_shown(service: str) -> None:
    loop = full_loop()
    loop.away = {service}
    picture = look(loop)
    found = conditions(picture)
    assert [name for name in PARTS if found[name] == "away"] == [service]
    need = next(need for need in picture.needs if need.kind == "part")
    assert (need.about, need.since) == (service, NOW)
    assert "connection is refused" in need.sentence
    assert need.hint


def test_since_when_is_remembered_until_it_is_back() -> None:
    loop = full_loop()

    async def looks() -> list[object]:
        console = Console(loop)
        found: list[object] = []
        for away in (set(), {"drift"}, {"drift"}, set(), {"drift"}):
            console.clock.forward(10)
            loop.away = away
            part = (await console.gatherer.picture()).part("drift")
            assert part is not None
            found.append(part.since and (part.since - NOW).total_seconds())
        return found

    assert run(looks) == [None, 20.0, 20.0, None, 50.0]


def test_what_a_service_last_said_stays_with_the_moment_it_was_said() -> None:
    loop = full_loop()

    async def looks() -> object:
        console = Console(loop)
        await console.gatherer.picture()
        loop.away = {"drift", "retraining"}
        console.clock.forward(30)
        return await console.gatherer.picture()

    picture = run(looks)
    assert len(picture.verdicts) == 23
    assert picture.models[0].released.generation == 3
    assert picture.stale == dict.fromkeys(("verdicts", "decisions", "runs", "releases"), NOW)


def test_a_slow_service_holds_the_look_no_longer_than_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE_S", 0.15)
    monkeypatch.setattr(asking, "FIRST_PATIENCE_S", 1.0)
    monkeypatch.setattr(asking, "LEAST_PATIENCE_S", 0.05)
    loop = full_loop()

    async def looks() -> tuple[float, object, int]:
        console = Console(loop)
        console.gatherer._ticks = time.monotonic
        hanging = asyncio.Event()
        fetch = console.gatherer._asker._get

        async def slow(question: asking.Question) -> object:
            if "/drift/" in question.path or question.base.endswith("/drift"):
                loop.asked.append("slow")
                await hanging.wait()
            return await fetch(question)

        console.gatherer._asker._get = slow  # type: ignore[method-assign]
        began = time.monotonic()
        first = await console.gatherer.picture()
        took = time.monotonic() - began
        console.clock.forward(2)
        console.gatherer.forget()
        await console.gatherer.picture()
        asked = loop.asked.count("slow")
        hanging.set()
        await console.gatherer._asker.close()
        return took, first, asked

    took, picture, asked = run(looks)
    assert took < 1.7  # what is asked about each model waits within the same patience, not once more
    assert conditions(picture)["drift"] == "away"
    assert conditions(picture)["retraining"] == "up"
    assert (
        asked == 3
    )  # status, verdicts and those of the model, once each: what is under way is not asked again


def test_an_answer_that_is_late_once_is_shown_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE_S", 0.1)
    loop = full_loop()

    async def looks() -> list[str]:
        console = Console(loop)
        await console.gatherer.picture()
        fetch, hanging = console.gatherer._asker._get, asyncio.Event()

        async def slow(question: asking.Question) -> object:
            if question.base.endswith("/drift"):
                await hanging.wait()
            return await fetch(question)

        console.gatherer._asker._get = slow  # type: ignore[method-assign]
        found = []
        for seconds in (2, 10):
            console.clock.forward(seconds)
            found.append(conditions(await console.gatherer.picture())["drift"])
        await console.gatherer._asker.close()
        return found

    assert run(looks) == ["up", "away"]


LIES = [
    b"",
    b"<html>",
    b"[]",
    b"null",
    b'"drift"',
    b"{}",
    b'{"models": 7, "verdicts": "none", "ready": "perhaps"}',
    b'{"models": [1, null, {"model": 5}, {"model": "flights", "error": ["x"]}], "verdicts": [3, {"verdict_id": 4}, null]}',
    b'{"verdicts": [{"verdict_id": "v", "scores": [{"value": 1e999, "threshold": "a"}, 5], "window_end": "soon", "rows": {}}]}',
    b"\xff\xfe\x00",
    b'{"decisions": [{"cause_key": "k", "acknowledged": 5, "decided_at": "9999-99-99"}], "runs": [{"run_id": "r", "gate": []}]}',
    b'{"releases": [{"generation": "x"}, {"generation": -4}, {"generation": 1, "version": null, "released_at": 12}]}',
    b"[" * 20_000,
]


@pytest.mark.parametrize("lie", LIES)
def test_no_lie_of_any_service_takes_the_page_down(lie: bytes) -> None:
    from services.console.views.page import draw_page

    for path in (
        "/inference/status.json",
        "/inference/metrics",
        "/shipper/status",
        "/sink/metrics",
        "/drift/status",
        "/drift/verdicts",
        "/retraining/status",
        "/retraining/decisions",
        "/retraining/runs",
        "/retraining/models/flights/releases",
    ):
        loop = full_loop()
        loop.lies[path] = lie
        picture = look(loop)
        assert draw_page(picture)
        assert conditions(picture)["shipper" if path.startswith("/retraining") else "retraining"] in (
            "up",
            "unclear",
        )


def test_what_is_not_json_is_said_to_be_so() -> None:
    loop = full_loop()
    loop.lies["/drift/status"] = b"<html>"
    part = look(loop).part("drift")
    assert part is not None
    assert part.condition == "unclear"
    assert part.sentence.startswith("Answers something that is not JSON")


def test_kafka_is_judged_by_those_who_talk_to_it() -> None:
    loop = full_loop()
    loop.kafka = False
    assert conditions(look(loop))["kafka"] == "away"
    loop.kafka = True
    loop.away = {"shipper", "sink", "retraining"}
    picture = look(loop)
    assert conditions(picture)["kafka"] == "unclear"
    assert "kafka" not in {need.about for need in picture.needs}


def test_a_picture_is_kept_for_a_second_and_looked_for_once() -> None:
    loop = full_loop()

    async def looks() -> list[int]:
        console = Console(loop)
        counts = []
        for seconds in (0.0, 0.5, 0.6):
            console.clock.forward(seconds)
            pictures = await asyncio.gather(*(console.gatherer.picture() for _ in range(5)))
            assert all(picture is pictures[0] for picture in pictures)
            counts.append(loop.asked.count("/drift/status"))
        console.gatherer.forget()
        await console.gatherer.picture()
        return [*counts, loop.asked.count("/drift/status")]

    assert run(looks) == [1, 1, 2, 3]


@pytest.mark.parametrize("set_by", [-3600.0, 3600.0])
def test_a_clock_that_is_set_freezes_nothing(set_by: float) -> None:
    loop = full_loop()

    async def looks() -> list[object]:
        console = Console(loop)
        await console.gatherer.picture()
        loop.away = {"inference", "shipper", "sink", "drift", "retraining"}
        console.clock.set_by(set_by)
        kept = conditions(await console.gatherer.picture())["drift"]
        console.clock.forward(2)
        picture = await console.gatherer.picture()
        return [kept, picture.at == console.clock(), conditions(picture)["drift"]]

    assert run(looks) == ["up", True, "away"]


@pytest.mark.parametrize("set_by", [-3600.0, 3600.0])
def test_a_clock_that_is_set_does_not_decide_how_late_an_answer_is(
    set_by: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PATIENCE_S", 0.1)
    loop = full_loop()

    async def looks() -> list[str]:
        console = Console(loop)
        await console.gatherer.picture()
        hanging = asyncio.Event()
        fetch = console.gatherer._asker._get

        async def slow(question: asking.Question) -> object:
            if question.base.endswith("/drift"):
                await hanging.wait()
            return await fetch(question)

        console.gatherer._asker._get = slow  # type: ignore[method-assign]
        console.clock.set_by(set_by)
        found = []
        for seconds in (2, 10):
            console.clock.forward(seconds)
            found.append(conditions(await console.gatherer.picture())["drift"])
        await console.gatherer._asker.close()
        return found

    assert run(looks) == ["up", "away"]


def test_an_answer_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LARGEST_ANSWER", 100_000)
    loop = full_loop()
    assert look(loop).stale == {}
    loop.lies["/drift/verdicts"] = b'{"verdicts": [], "more": "' + b"a" * 100_000 + b'"}'
    assert look(loop).stale == {"verdicts": None}


def test_what_nobody_asks_any_more_is_forgotten() -> None:
    loop = full_loop()

    async def looks() -> list[bool]:
        console = Console(loop)
        found = []
        for releases in (loop.releases, []):
            loop.releases = releases
            loop.served = loop.served if releases else {}
            console.clock.forward(2)
            await console.gatherer.picture()
            paths = {question.path for question in console.gatherer._asker._memories}
            found.append("/models/flights/releases" in paths)
        return found

    assert run(looks) == [True, False]


def test_what_watches_the_loop_comes_after_the_loop() -> None:
    loop = full_loop()
    loop.away = {"retraining", "prometheus"}
    where = places(BASE, prometheus=f"{BASE}/prometheus")
    needs = look(loop, where=where).needs
    assert [need.about for need in needs if need.kind == "part"] == ["retraining", "prometheus"]


def test_what_nobody_has_seen_is_found_however_many_decisions_came_after_it() -> None:
    loop = full_loop()
    for number in range(150):
        loop.decision(f"{number:032x}")
    picture = look(loop)
    assert "b" * 32 not in {decision.cause_key for decision in picture.decisions}
    assert [need.about for need in picture.needs if need.kind == "decision"] == ["b" * 32]


def test_a_run_that_waits_is_found_however_many_came_after_it() -> None:
    loop = full_loop()
    for number in range(60):
        loop.run(f"run-{number}", "promoted", gate=True)
    picture = look(loop)
    assert [run.run_id for run in picture.runs if run.waits] == ["run-new"]
    assert [need.about for need in picture.needs if need.kind == "run"] == ["run-new"]


def test_every_inference_server_is_held_against_the_release_log() -> None:
    loop = full_loop()
    loop.away = {"second"}
    where = places(BASE)
    where = type(where)(**{**where.__dict__, "servers": (f"{BASE}/inference", "http://two/second")})
    picture = look(loop, where=where)
    assert [part.name for part in picture.parts[:2]] == ["inference loop", "inference two"]
    [model] = picture.models
    assert [(served.server, served.agrees) for served in model.servers] == [("loop", True), ("two", None)]


def test_a_server_that_stays_behind_the_release_log_needs_someone() -> None:
    loop = full_loop()
    loop.served = {"generation": 2, "version": VERSIONS[1]}
    [need] = [need for need in look(loop).needs if need.kind == "model"]
    assert "loop serves generation 2" in need.sentence
    assert "the release log says generation 3" in need.sentence
    loop.releases[-1]["released_at"] = (NOW - timedelta(seconds=10)).isoformat()  # a swap takes moments
    assert [need for need in look(loop).needs if need.kind == "model"] == []


def test_needs_come_in_the_order_of_their_urgency() -> None:
    loop = full_loop()
    loop.away = {"sink"}
    needs = look(loop).needs
    assert [(need.kind, need.about) for need in needs] == [
        ("part", "sink"),
        ("run", "run-new"),
        ("decision", "b" * 32),
    ]
    loop.decisions[0]["acknowledged"] = {"actor": "ada", "note": "", "at": NOW.isoformat()}
    assert [need.kind for need in look(loop).needs] == ["part", "run"]


def test_unseen_decisions_are_counted_however_many_came_after_them() -> None:
    loop = full_loop()
    for number in range(300):
        loop.decision(f"{number:032x}", state="drift" if number % 2 == 0 else "ok")
    [need] = [need for need in look(loop).needs if need.kind == "decision"]
    assert (need.count, need.about, need.concern) == (151, f"{298:032x}", "drift")
    assert need.title == "flights: 151 drift verdicts"


def test_a_retraining_that_knows_neither_losses_nor_acknowledgements_is_understood() -> None:
    loop = full_loop()
    loop.losses = {}
    for decision in loop.decisions:
        del decision["needs_acknowledgement"], decision["acknowledged"]
    loop.lies["/retraining/status"] = b'{"ready": true, "models": ["flights"], "verdicts": "connected"}'
    picture = look(loop)
    assert (picture.models[0].frozen_loss, picture.models[0].served_loss) == (None, None)
    assert [need.kind for need in picture.needs] == ["run"]
