"""`homeostat rollback`: serve an earlier version again."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from cli.doors import Door, addresses
from cli.options import Actor, Home, Json, Model, RetrainingUrl, settings_with
from cli.telling import telling
from shared.contracts.manifest import short


def rollback(
    model: Model,
    to_generation: Annotated[
        int | None,
        typer.Option(min=1, help="Generation whose version is served again. Default: the one before."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    actor: Actor = "",
    home: Home = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Release the version before the present one again, or that of a given generation. History only grows."""
    with telling(as_json) as teller:
        where = addresses(settings_with(home, retraining_url=retraining_url))
        body: dict[str, object] = {"actor": actor or getpass.getuser()}
        if reason:
            body["reason"] = reason
        if to_generation is not None:
            body["to_generation"] = to_generation
        with Door("retraining", where.retraining) as retraining:
            release = retraining.post(f"/models/{model}/rollback", body)["release"]
        teller.result(
            release,
            f"{model}: version {short(str(release['version']))} is released again, as generation {release['generation']}",
        )
