from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.drift.evaluation.classify import Measurements, Subject, classify
from services.drift.verdicts.error_states import ErrorState, ErrorStates
from services.drift.verdicts.migration import FORMAT
from services.drift.verdicts.positions import Generation
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.verdict import Detector, Verdict
from shared.errors import NotFound, OperatorError
from tests.unit.services.drift.world import minutes

VERSION = "ab" * 32


def verdict(end: float, detector: Detector = "performance", reference_loss: float | None = 0.5) -> Verdict:
    subject = Subject("toy", VERSION, 1, detector, Span(minutes(end - 60), minutes(end)))
    measured = Measurements(rows=0, outcomes=0, reference_rows=0, reference_loss=reference_loss)
    return classify(subject, measured, minutes(end))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "verdicts.sqlite"


@pytest.fixture
def old(path: Path) -> Iterator[sqlite3.Connection]:
    """A store of format 0: three verdicts, the first published, and a generation that is one window behind."""
    store = VerdictStore(path)
    store.put_generation("toy", Generation(1, VERSION, minutes(0), minutes(60), minutes(0)))
    for each in (verdict(60), verdict(120, reference_loss=None), verdict(300, "request")):
        store.put(each)
    store.mark_published(verdict(60))
    store.close()
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "PRAGMA user_version = 0; DROP INDEX verdicts_open; ALTER TABLE verdicts DROP COLUMN revision;"
            "ALTER TABLE verdicts DROP COLUMN outcomes_version; ALTER TABLE verdicts DROP COLUMN open_until;"
            "DROP TABLE error_detectors; ALTER TABLE generations DROP COLUMN performance_until;"
            "ALTER TABLE generations RENAME COLUMN inputs_until TO evaluated_until"
        )
        connection.execute(
            "UPDATE verdicts SET detector = 'evaluation', body = json_set(body, '$.detector', 'evaluation'),"
            " verdict_id = 'old' || window_end WHERE detector != 'request'"
        )
        connection.execute("UPDATE verdicts SET body = json_set(body, '$.verdict_id', verdict_id)")
    yield connection
    connection.close()


def test_scheduled_verdicts_get_their_detector(path: Path, old: sqlite3.Connection) -> None:
    store = VerdictStore(path)
    request, second, first = store.latest("toy", 9)
    # Published ids are known outside; the others become what retraining accepts.
    assert first.verdict_id.startswith("old")
    assert (first.detector, second.detector, request.detector) == ("performance", "inputs", "request")
    assert second == verdict(120, "inputs", None)
    assert [each.verdict_id for each in store.unpublished(9)] == [second.verdict_id, request.verdict_id]


def test_stored_window_is_not_evaluated_again(path: Path, old: sqlite3.Connection) -> None:
    assert VerdictStore(path).generations("toy") == [
        Generation(1, VERSION, minutes(0), minutes(120), minutes(120))
    ]


def test_unreadable_row_stays_unreadable(path: Path, old: sqlite3.Connection) -> None:
    with old:
        old.execute("UPDATE verdicts SET body = '{}' WHERE published = 1")
    store = VerdictStore(path)
    assert len(store.latest("toy", 9)) == 2
    with pytest.raises(NotFound):
        store.get(verdict(60).verdict_id)


def test_store_of_a_later_release_is_refused(path: Path) -> None:
    VerdictStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    with pytest.raises(OperatorError, match="later release"):
        VerdictStore(path)


def test_evidence_of_realised_losses_begins_with_the_next_window(path: Path, old: sqlite3.Connection) -> None:
    store = VerdictStore(path)
    state = ErrorStates(store).get("toy", 1, 6)
    assert state == ErrorState(minutes(120), {})
    store.put_generation("toy", Generation(2, VERSION, minutes(300), minutes(300), minutes(300)))
    store.close()
    assert ErrorStates(VerdictStore(path)).get("toy", 2, 6) is None, "a later generation has all its windows"
