"""`homeostat log tail`: the newest logged predictions of a model."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_settings import settings_with
from cli.home import find_home
from cli.log.cells import documents, texts
from cli.options import Json, Model, StackHome
from cli.output import command_output
from shared.errors import NotFound

if TYPE_CHECKING:
    import pyarrow as pa

    from local_stack.settings import LocalStackSettings

_POLL_SECONDS = 1.0
_MAX_NEW_ROWS = 1000  # of one look
_HIDDEN = ("writer", "epoch", "sequence", "traceparent")
_PERSONAL = "(personal)"


def tail(
    model: Model,
    rows: Annotated[int, typer.Option(min=1, max=10_000, help="Number of rows.")] = 10,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Print new rows as they arrive, one JSON document each, up to 1,000 a second."
        ),
    ] = False,
    seconds: Annotated[float, typer.Option(min=0, help="End --follow after this time; 0: never.")] = 0.0,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Show the newest predictions in the lake, by event time. Values of features that are marked personal are not shown."""
    from shared.stores.lake import Lake
    from shared.stores.queries.newest_rows import newest_predictions

    with command_output(as_json) as output:
        settings = settings_with(find_home(home, note=output.note, may_be_stopped=True))
        lake = Lake(settings.lake_url)
        if model not in lake.models():
            known = ", ".join(lake.models())
            raise NotFound(f"the lake has no predictions of {model}", hint=f"it has {known}" if known else "")
        personal = _personal_columns(settings, model)
        looked_at = max(rows, _MAX_NEW_ROWS) if follow else rows
        found = _shown(newest_predictions(lake, model, looked_at), personal)
        if not follow:
            table = Table(*map(escape, found.column_names), box=None)
            for cells in texts(found):
                table.add_row(*map(escape, cells))
            output.result({"rows": documents(found)}, table)
            return
        new = documents(found)[-rows:]
        ends = time.monotonic() + seconds
        while True:
            for row in new:
                typer.echo(json.dumps(row))
            # Those that were there at the start are no news, whether they were shown or not.
            seen = set(found["prediction_id"].to_pylist())
            if seconds and time.monotonic() >= ends:
                return
            time.sleep(min(_POLL_SECONDS, max(0.0, ends - time.monotonic())) if seconds else _POLL_SECONDS)
            found = _shown(newest_predictions(lake, model, looked_at), personal)
            new = [row for row in documents(found) if row["prediction_id"] not in seen]


def _personal_columns(settings: LocalStackSettings, model: str) -> frozenset[str]:
    """Names of personal features, in lower case, of every version in the store."""
    from shared.stores.erasure.subject import personal_names
    from shared.stores.model_store import open_model_store

    store = open_model_store(settings.model_store_url, None)
    manifests = (store.manifest(model, version) for version in store.versions(model))
    return frozenset(name for manifest in manifests for name in personal_names(manifest.features))


def _shown(rows: pa.Table, personal: frozenset[str]) -> pa.Table:
    import pyarrow as pa

    from shared.contracts.lake_schema import FEATURE_PREFIX, feature_of

    rows = rows.drop_columns([name for name in _HIDDEN if name in rows.column_names])
    for place, name in enumerate(rows.column_names):
        if name.startswith(FEATURE_PREFIX) and feature_of(name).casefold() in personal:
            rows = rows.set_column(place, name, pa.array([_PERSONAL] * rows.num_rows))
    return rows
