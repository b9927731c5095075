from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from services.drift.http.report_retention import ReportRetention, expired
from shared.errors import DependencyUnavailable
from shared.stores.reports.report_store import KeptReport, ReportStore, open_report_store

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REPORTS = [
    KeptReport(name, NOW - timedelta(days=age)) for name, age in (("d", 1), ("c", 2), ("b", 40), ("a", 90))
]


@pytest.mark.parametrize(
    ("kept", "days", "gone"),
    [
        (2, 365, ["b", "a"]),
        (4, 30, ["b", "a"]),
        (1, 365, ["c", "b", "a"]),
        (4, 0.5, ["c", "b", "a"]),
        (4, 100, []),
    ],
)
def test_reports_expire_by_number_and_age(kept: int, days: float, gone: list[str]) -> None:
    found = expired(REPORTS, kept, NOW - timedelta(days=days))
    assert [one.report_id for one in found] == gone, "never the newest one"


@pytest.fixture
def store(tmp_path: Path) -> ReportStore:
    store = open_report_store(tmp_path.as_uri())
    for number in range(4):
        store.write("toy", f"v{number}", {"html": "page", "json": "{}"})
    return store


def retention(store: ReportStore, *still_open: str, days_later: float = 0) -> ReportRetention:
    return ReportRetention(
        store,
        2,
        timedelta(days=30),
        lambda: still_open,
        lambda: datetime.now(UTC) + timedelta(days=days_later),
    )


def test_report_of_a_revision_stays_while_its_verdict_is_open(store: ReportStore) -> None:
    store.write("toy", "v0-2", {"html": "page"})
    store.write("toy", "v4", {"html": "page"})
    store.write("toy", "v5", {"html": "page"})
    retention(store, "v0").apply("toy")
    assert {one.report_id for one in store.reports("toy")} == {"v0", "v0-2", "v4", "v5"}


def names(store: ReportStore) -> set[str]:
    return {one.verdict_id for one in store.reports("toy")}


def test_reports_of_open_decisions_stay(store: ReportStore) -> None:
    assert sorted(retention(store, "v0").apply("toy")) == ["v1"]
    assert names(store) == {"v0", "v2", "v3"}
    retention(store, "v0", days_later=31).apply("toy")
    assert names(store) == {"v0", "v3"}, "the newest of the model stays as well"
    retention(store, days_later=31).apply("toy")
    assert names(store) == {"v3"}


def test_nothing_is_removed_while_open_decisions_are_unknown(store: ReportStore) -> None:
    def unknown() -> frozenset[str]:
        raise DependencyUnavailable("retraining does not respond")

    kept = ReportRetention(store, 1, timedelta(days=1), unknown, lambda: datetime.now(UTC))
    assert kept.apply("toy") == []
    assert names(store) == {"v0", "v1", "v2", "v3"}


def test_what_a_stopped_removal_or_write_has_left_is_removed_later(
    store: ReportStore, tmp_path: Path
) -> None:
    (tmp_path / "toy" / "v1.html").unlink()
    store.write("toy", "v1-2", {"evidently": "{}"})
    retention(store).remove_incomplete("toy")
    assert store.read("toy", "v1", "json") == "{}", "it may be one that is being written"
    stop = Event()
    stop.set()
    retention(store, "v0", days_later=0.1).run(stop)
    assert store.read("toy", "v1", "json") is None
    assert store.read("toy", "v1-2", "evidently") is None
    assert {path.name for path in (tmp_path / "toy").iterdir()} == {
        f"v{number}.{ending}" for number in (0, 2, 3) for ending in ("html", "json")
    }
