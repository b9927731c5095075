"""`homeostat status`: the models, what needs a person, then the processes of the stack."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_settings import client_settings
from cli.home import find_home, named_home
from cli.model_overview import NOT_AVAILABLE, ModelOverview, read_overview
from cli.next_step import next_step, options_given
from cli.options import Json, StackHome
from cli.output import FOUND_SOMETHING, command_output, short_version
from local_stack.addresses import addresses
from local_stack.running_stacks import is_running, other_stacks
from local_stack.state import read_state
from local_stack.supervisor.lock import is_supervised
from local_stack.supervisor.orphans import is_alive
from local_stack.supervisor.readiness import is_ready
from shared.contracts.stack_state import ProcessState
from shared.errors import NotFound

VERDICT_COLOURS = {"ok": "green", "drift": "red", "data_fault": "magenta"}
NOT_MEASURED = "–"
STATE_COLOURS = {"ready": "green", "starting": "yellow"}
SHOWN_RUNS = 5


def status(home: StackHome = None, as_json: Json = False) -> None:
    """Show each model (generation, state, loss), then action items, then each process of the stack.

    Action items are runs that await approval, and unacknowledged decisions about drift, data faults and failed or refused
    runs.

    The state is the worst of inputs and performance. Inputs are judged when a window closes, performance when its outcomes are
    due; while they are overdue, performance is `not_judged`. `outcomes` shows how many arrived for the last judged window, and
    how late. If the newest windows are empty, the line says so. If the last verdict is on rows of an earlier generation than
    the served one, its generation is shown.
    `served loss` and `first version's loss` are measured on the same rows. If there is no such comparison yet, `served loss`
    is the loss of the last verdict.
    The exit code is 1 when a process is not ready.
    """
    with command_output(as_json) as output:
        options = options_given(home)
        # Of a stopped stack that is named, the processes are listed.
        home = find_home(home, note=output.note, may_be_stopped=named_home(home) is not None)
        settings = client_settings(home)
        state = read_state(settings.home)
        if state is None:
            raise NotFound(
                f"no stack runs on {settings.home.absolute()}",
                hint=other_stacks(settings.home)
                or "start one with `homeostat up`, or give its home with --home",
            )
        supervised = is_supervised(settings.home)
        processes = [_process(process, state.kafka) for process in state.processes]
        has_urls = settings.inference_url or settings.drift_url or settings.retraining_url
        # The ports of a stopped stack may belong to another one by now.
        overview = (
            read_overview(addresses(settings)) if has_urls or is_running(settings.home) else NOT_AVAILABLE
        )
        ready = supervised and all(process["state"] == "ready" for process in processes)
        document = {
            "home": state.home,
            "supervised": supervised,
            "ready": ready,
            "models": [model.document() for model in overview.models],
            "waiting_runs": [
                {
                    **{
                        name: run.get(name)
                        for name in ("run_id", "model", "state", "cause_reason", "created_at")
                    },
                    "next_step": next_step(run, options),
                }
                for run in overview.waiting_runs
            ],
            "unacknowledged": list(overview.unacknowledged),
            "unavailable": list(overview.unavailable),
            "urls": state.urls,
            "processes": processes,
        }
        if as_json:
            output.result(document, "")
        else:
            if overview.models:
                output.result(None, models_table(overview.models))
            elif not overview.unavailable:
                output.result(None, "no model is served yet; `homeostat deploy` releases the first")
            for service, problem in overview.problems.items():
                output.note(f"{service} {problem}; its columns are empty")
            if overview.waiting_runs:
                output.result(None, "")
                output.result(None, waiting_lines(overview.waiting_runs, options))
            if overview.unacknowledged:
                output.result(None, "")
                output.result(None, issue_lines(overview.unacknowledged, options))
            output.result(None, "")
            output.result(None, _process_table(processes, supervised))
        if not ready:
            raise typer.Exit(FOUND_SOMETHING)


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
    ):
        table.add_column(column)
    for model in models:
        since = f", no rows until {model.empty_until[:16]}" if model.empty_until else ""
        table.add_row(
            escape(model.name),
            str(model.generation or "–"),
            short_version(model.version) or "–",
            f"{_state(model)}{since}" if model.state else "no verdict yet",
            _coloured(model.inputs),
            _coloured(model.performance),
            escape(model.outcomes) or NOT_MEASURED,
            f"{_coloured(model.alarm)} {model.alarm_at[:16]}" if model.alarm else "–",
            model.window_end[:16] or "–",
            _loss(model.served_loss),
            _loss(model.baseline_loss),
            model.metric or "–",
        )
    return table


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


def _process_table(processes: list[dict[str, Any]], supervised: bool) -> Table:
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


def _process(process: ProcessState, kafka: str) -> dict[str, Any]:
    alive = is_alive(process)
    return {
        "name": process.name,
        "state": "ready" if alive and is_ready(process, kafka) else "starting" if alive else "dead",
        "pid": process.pid,
        "port": process.port,
        "restarts": process.restarts,
        "up_seconds": round(time.time() - process.created) if alive else 0,
        "log": process.log,
    }
