from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from cli.replay.history import HistoryRow
from cli.replay.replayer import Replayer, ReplayOptions, same_time_groups
from cli.replay.result import ReplayResult
from homeostat import Client
from tests.fakes.scripted_inference import ScriptedInference

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def row(hour: float, amount: Any = 1.5, outcome: Any = 1.0, number: int = 0) -> HistoryRow:
    inputs = {"amount": amount, "count": 2, "member": True, "colour": "red"}
    return HistoryRow(NOON + hour * HOUR, inputs, outcome, number)


def client(server: ScriptedInference, retry_s: float = 5.0) -> Client:
    return Client("http://server", "toy", transport=httpx.MockTransport(server.answer), retry_s=retry_s)


def replay(server: ScriptedInference, rows: Any, *, retry_s: float = 5.0, **options: Any) -> ReplayResult:
    return Replayer(client(server, retry_s), "toy", ReplayOptions(HOUR, **options)).run(rows)


@pytest.fixture
def server() -> ScriptedInference:
    return ScriptedInference()


def test_rows_keep_their_time_and_outcomes_have_the_delay(server: ScriptedInference) -> None:
    result = replay(server, [row(0), row(0), row(0.5, outcome=None), row(2)])
    assert (result.rows, result.answered, result.refused, result.outcomes) == (4, 4, 0, 3)
    asked = [datetime.fromisoformat(str(moment)) for moment in server.event_times]
    assert asked == [NOON, NOON + 0.5 * HOUR, NOON + 2 * HOUR]
    sent = [(one["prediction_id"], datetime.fromisoformat(one["observed_at"])) for one in server.outcomes]
    assert sent == [("id0", NOON + HOUR), ("id1", NOON + HOUR), ("id3", NOON + 3 * HOUR)]


def test_outcomes_are_recorded_when_they_are_due(server: ScriptedInference) -> None:
    ours = client(server)
    recorded: list[tuple[float, int]] = []

    def note(_: int, moment: datetime) -> None:
        counts = ours.outcome_counts
        recorded.append(((moment - NOON) / HOUR, counts.waiting + counts.accepted))

    rows = [row(hour) for hour in (0, 0.9, 1, 1.1, 5)]
    Replayer(ours, "toy", ReplayOptions(HOUR), on_progress=note).run(rows)
    assert recorded == [(0, 0), (0.9, 0), (1, 1), (1.1, 1), (5, 4)]
    assert len(server.outcomes) == 5


def test_groups_have_one_event_time_and_at_most_a_batch() -> None:
    groups = list(same_time_groups([row(0), row(0), row(0), row(1), row(2), row(2)], 2))
    assert [len(group) for group in groups] == [2, 1, 1, 2]


def test_limit_ends_the_replay(server: ScriptedInference) -> None:
    assert replay(server, (row(hour) for hour in range(100)), limit=3).rows == 3


def test_wrong_row_is_counted_and_the_others_are_sent(server: ScriptedInference) -> None:
    result = replay(server, [row(0), row(0, amount="much", number=17), row(0), row(0, amount=[1], number=19)])
    assert (result.answered, result.refused, result.outcomes) == (2, 2, 2)
    assert result.reasons == [
        f"row {number} of 2026-03-01T12:00:00+00:00 refused: "
        f"feature amount of row {number} is {shown}; expected a finite number, or null"
        for number, shown in ((17, "'much'"), (19, "[1]"))
    ]
    assert not result.is_complete


def test_refusal_of_the_whole_request_counts_every_row(server: ScriptedInference) -> None:
    server.script = [lambda request: httpx.Response(413, json={"error": "too large"})]
    result = replay(server, [row(0, number=40), row(0, number=41), row(1)])
    assert (result.answered, result.refused) == (1, 2)
    assert result.reasons == ["2 rows of 2026-03-01T12:00:00+00:00 from row 40 to row 41 refused: too large"]


def test_refusal_of_the_server_has_the_place_in_the_file(server: ScriptedInference) -> None:
    refusal = {"error": "feature amount of row 1 is wrong", "row": 1}
    server.script = [lambda request: httpx.Response(422, json=refusal)]
    result = replay(server, [row(0, number=6), row(0, number=70)])
    assert result.reasons == [
        "row 70 of 2026-03-01T12:00:00+00:00 refused: feature amount of row 70 is wrong"
    ]


def test_lost_answer_is_counted_and_not_repeated(server: ScriptedInference) -> None:
    server.script = [server.lose_answer]
    result = replay(server, [row(0), row(1)])
    assert (result.rows, result.answered, result.lost) == (2, 1, 1)
    assert len(server.logged) == 2


def test_refused_outcome_is_counted(server: ScriptedInference) -> None:
    server.unknown_ids = {"id0"}
    result = replay(server, [row(0), row(0, outcome=[1]), row(0)])
    assert (result.answered, result.outcomes, result.outcomes_refused) == (3, 1, 2)
    assert [reason.startswith("outcome refused: ") for reason in result.reasons] == [True, True]


def test_outage_ends_the_replay_with_what_was_sent(server: ScriptedInference) -> None:
    def rows() -> Iterator[HistoryRow]:
        yield row(0, outcome=None)
        yield row(1)
        server.unreachable = True
        yield row(2)

    result = replay(server, rows(), retry_s=0.3)
    assert (result.rows, result.answered) == (1, 1)
    assert result.stopped_by is not None
    assert "cannot be reached" in result.document()["error"]


def test_interruption_sends_what_is_due_only(server: ScriptedInference) -> None:
    def rows() -> Iterator[HistoryRow]:
        yield from (row(0), row(3), row(3.5))
        raise KeyboardInterrupt

    result = replay(server, rows())
    assert result.interrupted
    assert (result.rows, result.outcomes) == (2, 1)  # the third waits for others of its moment
    assert "interrupted after 2 rows, 2 answered" in result.text()


def test_interrupted_request_counts_as_lost(server: ScriptedInference) -> None:
    def interrupt(request: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    server.script = [interrupt]
    result = replay(server, [row(0)])
    assert (result.interrupted, result.lost) == (True, 1)


def test_speed_divides_the_pauses(server: ScriptedInference) -> None:
    slept: list[float] = []
    options = ReplayOptions(HOUR, speed=36.0)
    Replayer(client(server), "toy", options, sleep=slept.append).run([row(0), row(1), row(3)])
    assert slept == [pytest.approx(pause, abs=20) for pause in (0, 100, 300)]
