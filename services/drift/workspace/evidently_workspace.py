"""A workspace of Evidently: a folder of projects with their evaluations, which `evidently ui` shows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from shared.errors import OperatorError

# The keys of an evaluation's metadata that say which verdict it is of, in which revision.
VERDICT: Final = ("verdict", "revision")
_PANEL = "Distance from the reference"


class EvidentlyWorkspace:
    """One project per model. Its evaluations are those of verdicts; one that is there is not added again.

    The import of Evidently takes seconds and some 300 MB. Raises OperatorError where it is not installed, or where the folder is
    not a workspace that it reads.
    """

    def __init__(self, folder: Path) -> None:
        self._library = _Library()
        self._folder = folder
        with self._readable():
            self._workspace = self._library.workspace.create(str(folder))

    def add(self, model: str, runs: list[str]) -> int:
        """Add evaluations, as `EvidentlyAdapter.draw` makes them; the number of those that were not there."""
        with self._readable():
            project = self._project(model)
            kept = [self._workspace.get_run(project.id, one) for one in self._workspace.list_runs(project.id)]
            known = {_about(one.metadata) for one in kept if one is not None}
            new = [run for run in runs if _about(orjson.loads(run)["metadata"]) not in known]
            for run in new:
                self._workspace.add_run(project.id, self._library.snapshot.loads(run))
        return len(new)

    def _project(self, model: str) -> Any:
        found = [one for one in self._workspace.list_projects() if one.name == model]
        if found:
            return found[0]
        project = self._workspace.create_project(model, description=f"Homeostat's evaluations of {model}")
        metric = self._library.panel_metric(metric="evidently:metric_v2:ValueDrift", legend="{{column}}")
        project.dashboard.add_panel(self._library.line_plot(_PANEL, [metric]))
        return project

    def _readable(self) -> Any:
        return _WorkspaceErrors(self._folder)


def _about(metadata: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(metadata.get(key) for key in VERDICT)


class _WorkspaceErrors:
    """Evidently raises errors of several libraries where files are not as it left them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            raise OperatorError(
                f"the workspace {self._folder} cannot be read or written: {error}",
                hint="choose another folder",
            ) from error


class _Library:
    """What is used of Evidently."""

    def __init__(self) -> None:
        os.environ["DO_NOT_TRACK"] = "1"
        try:
            from evidently.core.report import Snapshot
            from evidently.sdk.models import PanelMetric
            from evidently.sdk.panels import line_plot_panel
            from evidently.ui.workspace import Workspace
        except ImportError as error:
            raise OperatorError(
                f"a workspace needs Evidently, which is not installed here: {error}",
                hint="install homeostat with its extra `drift`",
            ) from error
        self.snapshot: Any = Snapshot
        self.panel_metric: Any = PanelMetric
        self.line_plot: Any = line_plot_panel
        self.workspace: Any = Workspace
