"""Adds the kept evaluations to a workspace of Evidently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.drift.workspace.evidently_workspace import EvidentlyWorkspace
from shared.errors import NotFound
from shared.stores.reports.report_store import ReportStore


def export(
    store: ReportStore, folder: Path, model: str, on_progress: Callable[[int, int, str], None]
) -> dict[str, Any]:
    """Add the kept evaluations of a model, or of all; what was added and what was there, per model.

    Reports drawn before Homeostat kept evaluations, and those without any column, have none and are left out.
    """
    models = [model] if model else store.models()
    found = {one: store.reports(one) for one in models}
    total, done, added = sum(map(len, found.values())), 0, []
    if not total:
        raise NotFound(
            f"no report {f'of {model} ' if model else ''}is kept",
            hint="`homeostat report --open ID` draws one, and --draw those of the newest verdicts",
        )
    workspace = EvidentlyWorkspace(folder)
    for name, reports in found.items():
        runs = []
        for report in reversed(reports):
            run = store.read(name, report.report_id, "evidently")
            runs += [run] if run is not None else []
            done += 1
            on_progress(done, total, name)
        added.append({"model": name, "added": workspace.add(name, runs), "kept": len(runs)})
    return {"workspace": str(folder), "models": added}
