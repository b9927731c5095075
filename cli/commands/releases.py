"""`homeostat releases`: a model's release log."""

from __future__ import annotations

from collections.abc import Mapping

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
    """List the releases, newest first. The first live one answers requests.

    A canary answers a share of them and a shadow answers copies, until it is withdrawn or another version goes live.
    """
    with command_output(as_json) as output:
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        with where.client("retraining") as retraining:
            answer = retraining.get(f"/models/{model}/releases")
        log, watches = items(answer, "releases"), answer.get("watches") or []
        log = sorted(log, key=lambda release: int(release["generation"]), reverse=True)
        table = Table(box=None)
        for column in ("generation", "version", "slot", "reason", "watch", "by", "released", "run", "note"):
            table.add_column(column)
        states = {watch["generation"]: str(watch["state"]).replace("_", " ") for watch in watches}
        for release in log:
            table.add_row(
                str(release["generation"]),
                short_version(str(release["version"])),
                slot_text(release),
                str(release["reason"]),
                states.get(release["generation"], "–"),
                escape(str(release["actor"])),
                str(release["released_at"])[:19],
                str(release.get("run_id") or "–"),
                escape(str(release.get("note") or "")),
            )
        if not log:
            raise NotFound(f"{model} has no releases", hint=known_models(where))
        output.result({"model": model, "releases": log, "watches": watches}, table)
        if watches and watches[-1]["reason"] and not as_json:
            output.result(None, f"watch of generation {watches[-1]['generation']}: {watches[-1]['reason']}")


def slot_text(release: Mapping[str, object]) -> str:
    """The slot of an entry as retraining responds with it, and the share of a canary or shadow: `canary 10%`."""
    slot, share = str(release.get("slot") or "live"), float(str(release.get("share") or 0))
    return slot if slot == "live" or not share else f"{slot} {100 * share:.3g}%"
