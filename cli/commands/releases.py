"""`homeostat releases`: a model's release log."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from cli.command_settings import client_settings
from cli.home import find_home
from cli.known_names import known_models
from cli.options import Json, Model, RetrainingUrl, StackHome
from cli.output import command_output, short_version
from local_stack.addresses import addresses
from shared.errors import NotFound
from shared.http.service_client import items


def releases(
    model: Model, home: StackHome = None, retraining_url: RetrainingUrl = "", as_json: Json = False
) -> None:
    """List the releases, newest first. Servers load the first one."""
    with command_output(as_json) as output:
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        with where.client("retraining") as retraining:
            log = items(retraining.get(f"/models/{model}/releases"), "releases")
        log = sorted(log, key=lambda release: int(release["generation"]), reverse=True)
        table = Table(box=None)
        for column in ("generation", "version", "reason", "by", "released", "run", "note"):
            table.add_column(column)
        for release in log:
            table.add_row(
                str(release["generation"]),
                short_version(str(release["version"])),
                str(release["reason"]),
                escape(str(release["actor"])),
                str(release["released_at"])[:19],
                str(release.get("run_id") or "–"),
                escape(str(release.get("note") or "")),
            )
        if not log:
            raise NotFound(f"{model} has no releases", hint=known_models(where))
        output.result({"model": model, "releases": log}, table)
