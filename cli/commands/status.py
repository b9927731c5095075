"""`homeostat status`: the models, what needs a person, then the processes of the stack."""

from __future__ import annotations

import time
from typing import Any

import typer

from cli.command_settings import client_settings
from cli.home import find_home, named_home
from cli.next_step import next_step, options_given
from cli.options import Json, StackHome
from cli.output import FOUND_SOMETHING, command_output
from cli.status.model_overview import NOT_AVAILABLE, read_overview
from cli.status.status_view import issue_lines, models_table, process_table, waiting_lines, watch_lines
from local_stack.addresses import addresses
from local_stack.running_stacks import is_running, other_stacks
from local_stack.state import read_state
from local_stack.supervisor.lock import is_supervised
from local_stack.supervisor.orphans import is_alive
from local_stack.supervisor.readiness import is_ready
from shared.contracts.stack_state import ProcessState, StackState
from shared.errors import NotFound


def status(home: StackHome = None, as_json: Json = False) -> None:
    """Show each model (generation, state, loss), then action items, then each process of the stack.

    Action items are runs that await approval, and unacknowledged decisions about drift, data faults and failed or refused
    runs.

    The state is the worst of inputs, performance and the last alarm of stream detection. Inputs are judged when a window
    closes, performance when its outcomes are due; while they are overdue, performance is `not_judged`. `outcomes` shows how
    many arrived for the last judged window, and how late. If the newest windows are empty, the line says so. If the last
    verdict is on rows of an earlier generation than the served one, its generation is shown.
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
        processes = [_process(process, state) for process in state.processes]
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
            if lines := watch_lines(overview.models):
                output.result(None, "")
                output.result(None, lines)
            if overview.waiting_runs:
                output.result(None, "")
                output.result(None, waiting_lines(overview.waiting_runs, options))
            if overview.unacknowledged:
                output.result(None, "")
                output.result(None, issue_lines(overview.unacknowledged, options))
            output.result(None, "")
            output.result(None, process_table(processes, supervised))
        if not ready:
            raise typer.Exit(FOUND_SOMETHING)


def _process(process: ProcessState, state: StackState) -> dict[str, Any]:
    alive = is_alive(process)
    return {
        "name": process.name,
        "state": "ready" if alive and is_ready(process, state) else "starting" if alive else "dead",
        "pid": process.pid,
        "port": process.port,
        "restarts": process.restarts,
        "up_seconds": round(time.time() - process.created) if alive else 0,
        "log": process.log,
    }
