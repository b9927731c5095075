"""`homeostat rollback`: serve an earlier version again."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from cli.command_settings import client_settings
from cli.home import find_home
from cli.known_names import known_models
from cli.options import Actor, Json, Model, RetrainingUrl, StackHome
from cli.output import command_output, short_version
from local_stack.addresses import addresses
from shared.errors import DependencyUnavailable, NotFound
from shared.http.service_client import ServiceClient, items


def rollback(
    model: Model,
    to_generation: Annotated[
        int | None,
        typer.Option(min=1, help="Generation whose version is served again. Default: the one before."),
    ] = None,
    expected_generation: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Generation that must still be served, else nothing is done. Default: the one served as the command begins.",
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    actor: Actor = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Release the version before the present one again, or that of a given generation. History only grows.

    The service is told which generation was seen, so a request that arrives late or twice goes back one step at most.
    """
    with command_output(as_json) as output:
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        body: dict[str, object] = {"actor": actor or getpass.getuser()}
        if reason:
            body["reason"] = reason
        if to_generation is not None:
            body["to_generation"] = to_generation
        with ServiceClient("retraining", where.retraining) as retraining:
            seen = expected_generation or served_generation(retraining, model)
            if not seen:
                raise NotFound(f"{model} has no releases", hint=known_models(where))
            body["expected_generation"] = seen
            try:
                release = retraining.post(f"/models/{model}/rollback", body)["release"]
            except DependencyUnavailable as error:
                raise DependencyUnavailable(
                    f"{error.message}; it is unknown whether {model} was rolled back",
                    hint=f"check with `homeostat releases {model}`; to try again add --expected-generation {seen}",
                ) from error
        output.result(
            release,
            f"{model}: version {short_version(str(release['version']))} is released again, as generation {release['generation']}",
        )


def served_generation(retraining: ServiceClient, model: str) -> int:
    """The newest generation of a model; 0 where nothing was released."""
    log = items(retraining.get(f"/models/{model}/releases"), "releases")
    return max((int(release["generation"]) for release in log), default=0)
