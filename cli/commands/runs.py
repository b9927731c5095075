"""`homeostat runs`, `approve` and `reject`: list the runs, and decide about one that waits for approval."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_settings import client_settings
from cli.completion import complete_model, complete_waiting_run
from cli.home import find_home
from cli.known_names import known_models, listing, served_models, waiting_runs
from cli.next_step import APPROVAL, next_step, options_given
from cli.options import Actor, Json, RetrainingUrl, StackHome
from cli.output import command_output
from local_stack.addresses import addresses
from shared.errors import Conflict, HomeostatError, NotFound
from shared.http.service_client import ServiceClient, items

Run = Annotated[
    str,
    typer.Argument(help="Run id (run-…), as `homeostat runs` lists it.", autocompletion=complete_waiting_run),
]


def runs(
    model: Annotated[str, typer.Option(help="Only this model.", autocompletion=complete_model)] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Number of runs, newest first.")] = 20,
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """List the newest retraining runs: state, cause and, for runs that await approval, the command that approves them."""
    with command_output(as_json) as output:
        options = options_given(home, retraining_url)
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        with where.client("retraining") as retraining:
            found = items(retraining.get("/runs", model=model, limit=limit), "runs")
        served = served_models(where) if model and not found else []
        if served and model not in served:
            raise NotFound(f"there is no model {model}", hint=known_models(where))
        for run in found:
            run["next_step"] = next_step(run, options)
        output.result({"runs": found}, runs_table(found) if found else "no runs yet")
        if not as_json:
            for run in found:
                if run["state"] in APPROVAL:
                    reject = f"`homeostat reject {run['run_id']}{options}`"
                    output.result(None, f"{run['next_step']}, {reject} ends it")


def runs_table(found: list[dict[str, Any]]) -> Table:
    """One line for each run. Ids are never cut or wrapped, so that they can be copied."""
    table = Table(box=None)
    table.add_column("run", no_wrap=True)
    for column in ("model", "state", "created", "cause", "requested by", "answered by", "next"):
        table.add_column(column)
    for run in found:
        state = str(run["state"])
        table.add_row(
            str(run["run_id"]),
            escape(str(run["model"])),
            f"[yellow]{state}[/]" if state in APPROVAL else state,
            str(run["created_at"])[:16].replace("T", " "),
            escape(str(run.get("cause_reason") or run.get("source") or "–")),
            escape(str(run.get("cause_actor") or "–")),
            escape(_answers(run) or "–"),
            "approve or reject" if state in APPROVAL else "why" if run["next_step"] else "–",
        )
    return table


def _answers(run: dict[str, Any]) -> str:
    """Who approved or rejected a run, and in whose place: `ann yes, bob for eve no`."""
    given = run.get("approvals") or ()
    return ", ".join(f"{_who(one)} {one.get('answer')}" for one in given if isinstance(one, dict))


def _who(answer: dict[str, Any]) -> str:
    delegator = answer.get("on_behalf_of")
    return f"{answer.get('actor')} for {delegator}" if delegator else str(answer.get("actor"))


def approve(
    run: Run,
    actor: Actor = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Approve a run: a suggested run starts, or its challenger is released."""
    _decide(run, "approve", actor, home, retraining_url, as_json)


def reject(
    run: Run,
    actor: Actor = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Reject a run: it does not start, or its challenger is not released."""
    _decide(run, "reject", actor, home, retraining_url, as_json)


def _decide(run: str, word: str, actor: str, home: Path | None, retraining_url: str, as_json: bool) -> None:
    with command_output(as_json) as output:
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        with (
            where.client("retraining") as retraining,
            listing(lambda: waiting_runs(where)),
            _explaining(retraining, run, options_given(home, retraining_url)),
        ):
            answer = retraining.post(f"/runs/{run}/{word}", {"actor": where.actor(actor)})
        state = answer.get("state") if isinstance(answer, dict) else None
        output.result(answer, f"run {run}: {word}d" + (f", now {state}" if state else ""))


@contextmanager
def _explaining(retraining: ServiceClient, run: str, options: str) -> Iterator[None]:
    """The hint of a `Conflict` raised in the block also gets the next command, by the run's state."""
    try:
        yield
    except Conflict as error:
        try:
            step = next_step(retraining.get(f"/runs/{run}"), options)
        except HomeostatError:
            step = ""  # the error itself is what matters
        raise Conflict(error.message, hint="; ".join(filter(None, (step, error.hint)))) from error
