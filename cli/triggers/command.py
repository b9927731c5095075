"""`homeostat trigger`: request a retraining."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.command_settings import client_settings
from cli.home import find_home
from cli.known_names import known_models, served_models
from cli.next_step import next_step, options_given
from cli.options import Actor, Json, Model, RetrainingUrl, StackHome
from cli.output import command_output
from local_stack.addresses import addresses
from shared.errors import NotFound


def trigger(
    model: Model,
    reason: Annotated[str, typer.Option(help="Reason, recorded in the ledger.")] = "requested by a person",
    key: Annotated[
        str,
        typer.Option(
            help="Name of the cause; requests with the same name lead to one decision. Default: every call is a new cause."
        ),
    ] = "",
    actor: Actor = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Request a retraining of a model, and print the decision: whether a run starts or has to wait, and why."""
    with command_output(as_json) as output:
        options = options_given(home, retraining_url)
        where = addresses(
            client_settings(find_home(home, retraining_url, note=output.note), retraining_url=retraining_url)
        )
        if (served := served_models(where)) and model not in served:
            raise NotFound(f"there is no model {model}", hint=known_models(where))
        body: dict[str, object] = {"model": model, "reason": reason, "actor": where.actor(actor)}
        with where.client("retraining") as retraining:
            [cause] = retraining.post("/triggers", body | ({"key": key} if key else {}))["causes"]
        lines = f"{model}: {cause['action']}, {cause['reason']}"
        if cause.get("run_id"):
            state = "suggested" if cause["action"] == "suggest" else ""
            step = next_step({"run_id": cause["run_id"], "state": state}, options)
            lines += f"\nrun {cause['run_id']}" + (f": {step}" if step else "")
        output.result(cause, lines)
