"""`homeostat rollback`: serve an earlier version again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
        typer.Option(
            min=1,
            help="Generation to restore. Default: a running canary is withdrawn, else the previous one.",
        ),
    ] = None,
    expected_generation: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Generation that must be the newest now, else nothing is done. Default: the newest when the command starts.",
        ),
    ] = None,
    slot: Annotated[
        str,
        typer.Option(help="End only this slot: canary or shadow. Cannot be combined with --to-generation."),
    ] = "",
    reason: Annotated[str, typer.Option(help="Reason, recorded in the release log.")] = "",
    actor: Actor = "",
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Release an earlier version again, as a new generation: the previous version, or that of --to-generation.

    While a canary runs, only the canary is withdrawn, unless --to-generation names a generation: that ends canary and shadow too.
    Nothing changes if another generation is released between the start of the command and the rollback.
    Two rollbacks in a row go back two versions; with --expected-generation the second one does nothing.
    """
    with command_output(as_json) as output:
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        body: dict[str, object] = {"actor": where.actor(actor)}
        if reason:
            body["reason"] = reason
        if slot:
            body["slot"] = slot
        if to_generation is not None:
            body["to_generation"] = to_generation
        with where.client("retraining") as retraining, _naming_the_scope():
            newest = expected_generation or newest_generation(retraining, model)
            if not newest:
                raise NotFound(f"{model} has no releases", hint=known_models(where))
            body["expected_generation"] = newest
            try:
                release = retraining.post(f"/models/{model}/rollback", body)["release"]
            except DependencyUnavailable as error:
                raise DependencyUnavailable(
                    f"{error.message}; it is unknown whether {model} was rolled back",
                    hint=f"check with `homeostat releases {model}`; to try again add --expected-generation {newest}",
                ) from error
        output.result(
            release,
            f"{model}: {_what(release)}, as generation {release['generation']}",
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


def _what(release: Mapping[str, object]) -> str:
    version = short_version(str(release["version"]))
    if release["reason"] == "withdrawal":
        return f"the {release['slot']} of version {version} is withdrawn"
    return f"version {version} is released again"


def newest_generation(retraining: ServiceClient, model: str) -> int:
    """The newest generation of a model; 0 without releases."""
    log = items(retraining.get(f"/models/{model}/releases"), "releases")
    return max((int(release["generation"]) for release in log), default=0)
