"""`homeostat log watermark`: show a model's watermarks and the rows that are set aside; set a watermark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from cli.command_settings import settings_with
from cli.home import find_home
from cli.options import Json, Model, StackHome
from cli.output import command_output
from shared.errors import NotFound

if TYPE_CHECKING:
    from shared.stores.lake import Lake

_EXAMPLES = 5


def watermark(
    model: Model,
    set_to: Annotated[
        str,
        typer.Option(
            "--set",
            help="Time, such as 2026-03-01T12:00:00Z. Rows after it are set aside; rows up to it are no longer set aside.",
        ),
    ] = "",
    outcomes: Annotated[
        bool, typer.Option("--outcomes", help="Set the watermark of the outcomes, not of the predictions.")
    ] = False,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Show the newest event time of a model's predictions and outcomes, and the rows that are set aside because their time is far
    ahead of the others (`event_time.bound` in loop.yaml).

    Windows, schedules and training follow these watermarks. If a row with a wrong time has moved a watermark, --set moves it
    back and sets the row aside. No row is lost or changed. The drift service continues from the corrected watermark. Windows
    that were judged meanwhile keep their verdicts, and stream detection leaves rows out until their time passes that of the
    wrong row.
    """
    from shared.contracts.event_time import parse_time
    from shared.stores.lake import Lake
    from shared.stores.watermark_correction import correct_watermark

    with command_output(as_json) as output:
        to = parse_time(set_to, field="--set") if set_to else None
        settings = settings_with(find_home(home, note=output.note, may_be_stopped=True))
        lake = Lake(settings.lake_url)
        if model not in lake.models():
            known = ", ".join(lake.models())
            raise NotFound(
                f"the lake {settings.lake_url} has no predictions of {model}",
                hint=f"it has {known}" if known else "send a prediction request first",
            )
        if to is not None:
            location = lake.outcomes(model) if outcomes else lake.predictions(model)
            done = correct_watermark(location, "observed_at" if outcomes else "event_time", to)
            output.note(f"{done.set_aside} rows were set aside, {done.taken_back} returned to the stream")
        found = _describe(lake, model)
        output.result(found, _table(found))


def _describe(lake: Lake, model: str) -> dict[str, Any]:
    from shared.stores.watermark_correction import rows_set_aside

    tables = {
        "predictions": (lake.predictions(model), "event_time", lake.watermark(model)),
        "outcomes": (lake.outcomes(model), "observed_at", lake.latest_observation(model)),
    }
    found: dict[str, Any] = {"model": model}
    for kind, (location, time_column, newest) in tables.items():
        aside = rows_set_aside(lake, location, time_column, _EXAMPLES)
        found[kind] = {
            "watermark": newest.isoformat() if newest else None,
            "rows_set_aside": aside.rows,
            "examples": [{"prediction_id": name, "time": time.isoformat()} for name, time in aside.examples],
        }
    return found


def _table(found: dict[str, Any]) -> Group:
    shown = Table("", "watermark", "rows set aside", box=None)
    examples = []
    for kind in ("predictions", "outcomes"):
        part = found[kind]
        shown.add_row(kind, part["watermark"] or "none", str(part["rows_set_aside"]))
        examples += [f"{kind}: {one['prediction_id']} of {one['time']}" for one in part["examples"]]
    return Group(shown, *(["newest rows set aside:", *map(escape, examples)] if examples else []))
