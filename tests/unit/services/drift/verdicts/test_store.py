from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

from services.drift.evaluation.classify import Measurements, Subject, classify
from services.drift.verdicts.positions import Generation, OutcomesRead
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.verdict import Verdict
from shared.errors import NotFound, OperatorError
from tests.unit.services.drift.world import minutes


def verdict(end: float, *, model: str = "toy", reached: datetime | None = None) -> Verdict:
    subject = Subject(model, "ab" * 32, 1, "performance", Span(minutes(end - 60), minutes(end)))
    return classify(subject, Measurements(rows=0, outcomes=0, reference_rows=0), reached or minutes(end))


@pytest.fixture
def store(tmp_path: Path) -> VerdictStore:
    return VerdictStore(tmp_path / "drift" / "verdicts.sqlite")


def test_a_verdict_is_put_once_and_never_changes(store: VerdictStore) -> None:
    first, again = verdict(60), verdict(60, reached=minutes(999))
    assert store.put(first)
    assert not store.put(again)
    assert store.get(first.verdict_id) == first


def test_what_was_not_marked_waits_after_a_restart(store: VerdictStore, tmp_path: Path) -> None:
    one, two, three = (verdict(end) for end in (60, 120, 180))
    for each in (one, two, three):
        store.put(each)
    store.mark_published(one)
    store.close()
    reopened = VerdictStore(tmp_path / "drift" / "verdicts.sqlite")
    assert reopened.unpublished(10) == [two, three]
    assert reopened.count_unpublished() == 2


def test_the_newest_come_first(store: VerdictStore) -> None:
    for each in (verdict(60), verdict(120, model="other"), verdict(180)):
        store.put(each)
    assert store.latest(None, 2) == [verdict(180), verdict(120, model="other")]
    assert store.latest("toy", 9) == [verdict(180), verdict(60)]
    assert store.last_of("toy", "performance") == verdict(180)
    assert store.last_of("none", "performance") is None


def test_unknown_id_is_not_found(store: VerdictStore) -> None:
    with pytest.raises(NotFound, match="no verdict x"):
        store.get("x")


@pytest.mark.parametrize("body", ['{"threshold": null}', "no JSON"])
def test_a_row_that_cannot_be_read_counts_as_absent(store: VerdictStore, tmp_path: Path, body: str) -> None:
    stored = [verdict(end) for end in (60, 120, 180, 240)]
    for each in stored:
        store.put(each)
    with sqlite3.connect(tmp_path / "drift" / "verdicts.sqlite") as connection:
        connection.execute(
            "UPDATE verdicts SET body = ? WHERE verdict_id IN (?, ?)",
            (body, stored[0].verdict_id, stored[3].verdict_id),
        )
    connection.close()
    assert store.unpublished(1) == [stored[1]]
    assert store.last_of("toy", "performance") == stored[2]
    assert store.latest("toy", 9) == [stored[2], stored[1]]
    assert len(store.latest_as_json(None, 9)) == 2
    assert store.count_unpublished() == 2
    with pytest.raises(NotFound):
        store.get(stored[3].verdict_id)
    # The same window judged again takes its place, and goes to the topic.
    assert store.put(stored[0])
    assert not store.put(stored[1])
    assert store.unpublished(9) == [stored[1], stored[2], stored[0]]


def test_rows_that_come_late_do_not_move_a_generation(store: VerdictStore) -> None:
    store.put_generation("toy", Generation(1, "v", minutes(10), minutes(10), minutes(10)))
    store.put_generation("toy", Generation(1, "v", minutes(3), minutes(3), minutes(3)))
    assert store.generations("toy") == [Generation(1, "v", minutes(10), minutes(10), minutes(10))]


def test_a_generation_only_goes_forward(store: VerdictStore) -> None:
    store.put_generation("toy", Generation(1, "v", minutes(0), minutes(0), minutes(0)))
    store.advance("toy", 1, "inputs", minutes(60))
    store.advance("toy", 1, "inputs", minutes(30))
    store.advance("toy", 1, "performance", minutes(20))
    assert store.generations("toy") == [Generation(1, "v", minutes(0), minutes(60), minutes(20))]


def test_revision_replaces_the_verdict_and_is_published(store: VerdictStore) -> None:
    first, other = verdict(60), verdict(120)
    revised = first.model_copy(update={"revision": 2, "state": "drift"})
    for each in (first, other):
        store.put(each, OutcomesRead(3, minutes(500)))
        store.mark_published(each)
    assert store.revise(revised, 7)
    assert not store.revise(revised, 7), "the same revision again"
    assert store.get(first.verdict_id) == revised
    assert store.unpublished(9) == [revised]
    assert store.open_verdicts("toy") == [
        (revised, OutcomesRead(7, minutes(500))),
        (other, OutcomesRead(3, minutes(500))),
    ]
    store.set_outcomes_version(other.verdict_id, None)
    assert [each for each, _ in store.open_verdicts("toy")] == [revised]


def test_revision_stored_while_the_one_before_was_sent_is_published(store: VerdictStore) -> None:
    first = verdict(60)
    store.put(first, OutcomesRead(3, minutes(500)))
    [sent] = store.unpublished(9)
    revised = first.model_copy(update={"revision": 2})
    store.revise(revised, 4)
    store.mark_published(sent)
    assert store.unpublished(9) == [revised]


def test_windows_are_those_whose_inputs_were_judged(store: VerdictStore) -> None:
    inputs = [
        verdict(end).model_copy(update={"verdict_id": f"i{end}", "detector": "inputs"})
        for end in (120, 60, 180)
    ]
    for each in (*inputs, verdict(60)):
        store.put(each)
    assert store.windows("toy", 1, minutes(60), 9) == [inputs[0], inputs[2]]
    assert store.windows("toy", 1, minutes(0), 1) == [inputs[1]]
    assert store.windows("toy", 2, minutes(0), 9) == []


def test_a_file_that_cannot_be_opened_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "drift").write_text("a file where a folder should be")
    with pytest.raises(OperatorError, match="verdict store"):
        VerdictStore(tmp_path / "drift" / "verdicts.sqlite")


def test_processes_share_a_file_and_keep_the_first_verdict(tmp_path: Path) -> None:
    path = tmp_path / "drift" / "verdicts.sqlite"
    one, other = (VerdictStore(path, shared=True) for _ in range(2))
    assert one.put(verdict(60))
    assert not other.put(verdict(60, reached=minutes(999)))
    assert other.put(verdict(120, model="other"))
    assert one.latest(None, 9) == [verdict(120, model="other"), verdict(60)]
    assert one.unpublished(9, {"toy"}) == [verdict(120, model="other")]
    one.close()
    other.close()


def test_process_that_does_not_share_cannot_open_a_shared_file(tmp_path: Path) -> None:
    """Its write-ahead log would be invisible to processes on other machines."""
    path = tmp_path / "drift" / "verdicts.sqlite"
    shared = VerdictStore(path, shared=True)
    shared.put(verdict(60))
    with shared.transaction(), pytest.raises(OperatorError, match="cannot be opened"):
        VerdictStore(path)
    shared.close()
