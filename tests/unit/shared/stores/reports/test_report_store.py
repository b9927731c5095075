from __future__ import annotations

from pathlib import Path

import pytest
from obstore.store import MemoryStore

from shared.stores.reports.report_store import ReportStore, open_report_store


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReportStore:
    if request.param == "memory":
        return ReportStore(MemoryStore())
    return open_report_store((tmp_path / "reports").as_uri())


def test_forms_of_a_report_are_read_as_written(store: ReportStore) -> None:
    store.write("toy", "v1", {"html": "<p>ü</p>", "json": "{}", "evidently": "[]"})
    assert [store.read("toy", "v1", form) for form in ("html", "json", "evidently")] == [
        "<p>ü</p>",
        "{}",
        "[]",
    ]
    store.write("toy", "v1", {"html": "again"})
    assert store.read("toy", "v1", "html") == "again"
    assert store.read("toy", "v2", "html") is None
    assert store.read("other", "v1", "json") is None


def test_missing_folder_stays_missing_where_nothing_may_be_created(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    assert not open_report_store(folder.as_uri(), create=False).has_any("toy")
    assert not folder.exists()
    open_report_store(folder.as_uri()).write("toy", "v1", {"html": "page"})
    assert open_report_store(folder.as_uri(), create=False).has_any("toy")


def test_reports_are_listed_per_model_newest_first(store: ReportStore) -> None:
    for name in ("v1", "v3", "v2"):
        store.write("toy", name, {"html": "page", "evidently": "{}"})
    store.write("other", "w", {"html": "page"})
    store.write("toy", "half", {"json": "{}"})
    assert [one.verdict_id for one in store.reports("toy")] == ["v2", "v3", "v1"]
    assert store.models() == ["other", "toy"]
    assert store.reports("unknown") == []


def test_removal_takes_every_form_and_no_other_report(store: ReportStore) -> None:
    for name in ("v1", "v2"):
        store.write("toy", name, {"html": "page", "json": "{}", "evidently": "{}"})
    store.write("toys", "v1", {"html": "page"})
    store.remove("toy", ["v1", "missing"])
    assert store.read("toy", "v1", "evidently") is None
    assert [one.verdict_id for one in store.reports("toy")] == ["v2"]
    store.write("toy", "half", {"json": "{}"})
    store.remove_model("toy")
    assert store.read("toy", "half", "json") is None
    assert not store.has_any("toy")
    assert store.has_any("toys")
