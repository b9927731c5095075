"""`homeostat rollback`: serve an earlier version again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from cli.command_settings import client_settings
from cli.home import find_home
from cli.known_names import known_models
from cli.options import Actor, Json, Model, RetrainingUrl, StackHome
from cli.output import command_output, short_version
from local_stack.addresses import addresses
from shared.access.caller import NotPermitted
from shared.errors import DependencyUnavailable, NotFound
from shared.http.service_client import ServiceClient, items


def rollback(
    model: Model,
    to_generation: Annotated[
        int | None,
        typer.Option(min=1, help="Generation to restore. Default: the previous one."),
    ] = None,
    expected_generation: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Generation that must be served now, else nothing is done. Default: the one served when the command starts.",
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Reason, recorded in the release log.")] = "",
    actor: Actor = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Release an earlier version again, as a new generation: the previous version, or that of --to-generation.

    Nothing changes if another generation is released between the start of the command and the rollback.
    Two rollbacks in a row go back two versions; with --expected-generation the second one does nothing.
    """
    with command_output(as_json) as output:
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        body: dict[str, object] = {"actor": where.actor(actor)}
        if reason:
            body["reason"] = reason
        if to_generation is not None:
            body["to_generation"] = to_generation
        with where.client("retraining") as retraining, _naming_the_scope():
            served = expected_generation or served_generation(retraining, model)
            if not served:
                raise NotFound(f"{model} has no releases", hint=known_models(where))
            body["expected_generation"] = served
            try:
                release = retraining.post(f"/models/{model}/rollback", body)["release"]
            except DependencyUnavailable as error:
                raise DependencyUnavailable(
                    f"{error.message}; it is unknown whether {model} was rolled back",
                    hint=f"check with `homeostat releases {model}`; to try again add --expected-generation {served}",
                ) from error
        output.result(
            release,
            f"{model}: version {short_version(str(release['version']))} is released again, as generation {release['generation']}",
        )


@contextmanager
def _naming_the_scope() -> Iterator[None]:
    """Reading the releases comes first: the scope that it needs is not the one that is missed."""
    try:
        yield
    except NotPermitted as error:
        raise NotPermitted(
            f"{error.message}; a rollback needs the scope admin",
            hint="use a key with it: `homeostat keys create NAME --scope admin`",
        ) from error


def served_generation(retraining: ServiceClient, model: str) -> int:
    """The newest generation of a model; 0 without releases."""
    log = items(retraining.get(f"/models/{model}/releases"), "releases")
    return max((int(release["generation"]) for release in log), default=0)
