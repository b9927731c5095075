"""How `homeostat status` shows models, waiting runs, action items and processes: tables and lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from cli.next_step import next_step
from cli.output import short_version
from cli.status.model_overview import ModelOverview

VERDICT_COLOURS = {"ok": "green", "drift": "red", "data_fault": "magenta"}
NOT_MEASURED = "–"
STATE_COLOURS = {"ready": "green", "starting": "yellow"}
SHOWN_RUNS = 5


def models_table(models: tuple[ModelOverview, ...]) -> Table:
    """One line for each model."""
    table = Table(box=None)
    for column in (
        "model",
        "generation",
        "version",
        "state",
        "inputs",
        "performance",
        "outcomes",
        "last alarm",
        "window end",
        "served loss",
        "first version's loss",
        "metric",
        "watch",
    ):
        table.add_column(column)
    for model in models:
        since = f", no rows until {model.empty_until[:16]}" if model.empty_until else ""
        table.add_row(
            escape(model.name),
            str(model.generation or "–"),
            (short_version(model.version) or "–") + (f" ({escape(model.sides)})" if model.sides else ""),
            f"{_state(model)}{since}" if model.state else "no verdict yet",
            _coloured(model.inputs),
            _coloured(model.performance),
            escape(model.outcomes) or NOT_MEASURED,
            f"{_coloured(model.alarm)} {model.alarm_at[:16]}" if model.alarm else "–",
            model.window_end[:16] or "–",
            _loss(model.served_loss),
            _loss(model.baseline_loss),
            model.metric or "–",
            model.watch.replace("_", " ") or "–",
        )
    return table


def watch_lines(models: tuple[ModelOverview, ...]) -> str:
    """Releases that turned out worse than the version before them, and what came of it."""
    texts = {
        "rolled_back": "the loop rolled the last release back ({reason})",
        "worse": "the deployed version is worse than the one before it ({reason}); `homeostat rollback {name}` restores that one",
        "failed": "the served version is worse than the one before it and could not be rolled back ({reason})",
    }
    return "\n".join(
        f"{model.name}: {texts[model.watch].format(name=model.name, reason=model.watch_reason)}"
        for model in models
        if model.watch in texts
    )


def _state(model: ModelOverview) -> str:
    """The state; with its generation if that is not the one that is served, as after a promotion."""
    is_earlier = 0 < model.verdict_generation < model.generation
    return _coloured(model.state) + (f" (generation {model.verdict_generation})" if is_earlier else "")


def _coloured(state: str) -> str:
    return f"[{VERDICT_COLOURS.get(state, 'yellow')}]{state}[/]" if state else NOT_MEASURED


def waiting_lines(runs: Sequence[Mapping[str, Any]], options: str = "") -> str:
    """The newest runs that wait for approval, each with its cause and the command that approves it."""
    lines = [f"{len(runs)} run{'s wait' if len(runs) > 1 else ' waits'} for approval:"]
    for run in runs[:SHOWN_RUNS]:
        cause = str(run.get("cause_reason") or run.get("source") or "unknown cause").rstrip(".")
        lines.append(f"  {run.get('model')}, {run.get('state')}: {next_step(run, options)}. Cause: {cause}")
    if len(runs) > SHOWN_RUNS:
        lines.append(f"  `homeostat runs{options}` lists the others")
    return "\n".join(lines)


def issue_lines(groups: Sequence[Mapping[str, Any]], options: str = "") -> str:
    """Unacknowledged decisions by model and issue: the reason of the newest one, and the next commands."""
    lines = ["needs a person:"]
    for group in groups:
        model, number = group["model"], int(group["count"])
        times = "" if number == 1 else f", {number} decisions since {str(group['since'])[:10]}"
        older = "" if number == 1 else " --and-older"
        lines.append(f"  {model}, {group['issue']}{times}: {str(group['reason']).rstrip('.')}.")
        lines.append(
            f"    `homeostat report {model}{options}` shows the verdicts; `homeostat acknowledge {str(group['newest_key'])[:12]}"
            f"{older}{options}` records that you have seen it"
        )
    return "\n".join(lines)


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def process_table(processes: list[dict[str, Any]], supervised: bool) -> Table:
    """One line for each process of the stack."""
    table = Table(box=None)
    for column in ("process", "state", "pid", "port", "restarts", "up", "log"):
        table.add_column(column)
    for process in processes:
        colour = STATE_COLOURS.get(process["state"], "red")
        table.add_row(
            str(process["name"]),
            f"[{colour}]{process['state']}[/]",
            *(str(process[key]) for key in ("pid", "port", "restarts")),
            f"{process['up_seconds']} s",
            escape(str(process["log"])),
        )
    if not supervised:
        table.caption = (
            "no supervisor runs: a process that exits is not restarted. Run `homeostat up` to start again"
        )
    return table
