"""The real Evidently reads what it was given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from services.drift.evaluation.evidently_adapter import EvidentlyAdapter, Heading, Sample
from services.drift.workspace.export import export
from shared.errors import NotFound, OperatorError
from shared.stores.reports.report_store import ReportStore, open_report_store

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
RANDOM = np.random.default_rng(5)


def draw(store: ReportStore, model: str, day: int) -> None:
    end = FIRST + timedelta(days=day)
    sample = Sample("x", "numeric", RANDOM.normal(day, 1, 200), RANDOM.normal(size=200), 0.1)
    drawn = EvidentlyAdapter().draw(
        Heading(f"{model}, day {day}", ("why",), end, {"verdict": f"{model}{day}", "state": "ok"}), [sample]
    )
    store.write(model, f"{model}{day}", {"html": drawn.page, "json": drawn.numbers, "evidently": drawn.run})


@pytest.fixture
def store(tmp_path: Path) -> ReportStore:
    store = open_report_store((tmp_path / "reports").as_uri())
    draw(store, "toy", 0)
    draw(store, "toy", 1)
    store.write("toy", "before", {"html": "a page of an earlier version", "json": "{}"})
    draw(store, "other", 0)
    return store


def test_a_workspace_lists_the_models_and_their_evaluations(store: ReportStore, tmp_path: Path) -> None:
    from evidently.ui.workspace import Workspace

    folder, steps = tmp_path / "workspace", []
    done = export(store, folder, "", lambda *step: steps.append(step))
    assert done["models"] == [
        {"model": "other", "added": 1, "kept": 1},
        {"model": "toy", "added": 2, "kept": 2},
    ]
    assert steps[-1] == (4, 4, "toy")
    workspace = Workspace(str(folder))
    projects = {project.name: project for project in workspace.list_projects()}
    assert set(projects) == {"toy", "other"}
    toy = projects["toy"]
    found = sorted(
        (workspace.get_run(toy.id, one) for one in workspace.list_runs(toy.id)), key=lambda one: one.timestamp
    )
    assert [(one.name, one.timestamp) for one in found] == [
        ("toy, day 0", FIRST.replace(tzinfo=None)),
        ("toy, day 1", FIRST.replace(tzinfo=None) + timedelta(days=1)),
    ]
    assert [panel.title for panel in toy.dashboard.model().panels] == ["Distance from the reference"]

    draw(store, "toy", 2)
    again = export(store, folder, "toy", lambda *_: None)
    assert again["models"] == [{"model": "toy", "added": 1, "kept": 3}]
    assert len(Workspace(str(folder)).list_projects()) == 2


def test_export_without_reports_says_how_to_draw_them(store: ReportStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no report of third is kept"):
        export(store, tmp_path / "workspace", "third", lambda *_: None)


def test_a_file_is_no_workspace(store: ReportStore, tmp_path: Path) -> None:
    (tmp_path / "workspace").write_text("")
    with pytest.raises(OperatorError, match="workspace"):
        export(store, tmp_path / "workspace", "toy", lambda *_: None)
