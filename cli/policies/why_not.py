"""`homeostat why-not`: why no run starts, and why the newest was not promoted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cli.command_settings import client_settings
from cli.home import find_home
from cli.known_names import known_models, listing
from cli.next_step import next_step, options_given
from cli.options import Json, Model, RetrainingUrl, StackHome
from cli.output import command_output
from local_stack.addresses import addresses

_DAY = 86400.0


def why_not(
    model: Model, home: StackHome = None, retraining_url: RetrainingUrl = "", as_json: Json = False
) -> None:
    """Explain why no retraining starts now, and why the newest run was not promoted.

    Shows what the newest verdict would give now, each trigger with its distance to firing, cooldown, budget, open runs and
    missing rows.
    """
    with command_output(as_json) as output:
        options = options_given(home, retraining_url)
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        with where.client("retraining") as retraining, listing(lambda: known_models(where)):
            found = retraining.get(f"/models/{model}/why-not")
        output.result(found, _view(found))
        last = found.get("last_run")
        if not as_json and last and (following := next_step(last, options)):
            output.result(None, following)


def _view(found: Mapping[str, Any]) -> Group:
    decision = found["next_decision"]
    head = [f"{found['model']}, event time {_time(found['event_time'])}, automation {found['automation']}"]
    if decision is None:
        head.append("no verdict on the served version yet")
    else:
        head.append(
            f"the newest verdict ({decision['state']}) would give: {decision['action']}, {decision['reason']}"
        )
    table = Table(box=None)
    for column in ("trigger", "fires", "why", "distance"):
        table.add_column(column)
    for one in found["triggers"]:
        distance = ", ".join(_distance(one["distance"])) or "–"
        fires = "yes" if one["fires"] else "no"
        table.add_row(str(one["trigger"]["when"]), fires, escape(str(one["reason"])), escape(distance))
    parts: list[Table | Text] = [Text("\n".join(head))]
    if found["triggers"]:
        parts.append(table)
    return Group(*parts, Text("\n".join(_limits(found))))


def _distance(values: Mapping[str, Any]) -> Iterator[str]:
    if (seconds := values.get("seconds_left")) is not None:
        yield f"{seconds / _DAY:.1f} d left, due at {_time(values['due_at'])}"
    if (rows := values.get("rows_left")) is not None:
        yield f"{rows} rows left"
    if (loss := values.get("loss_left")) is not None:
        yield f"loss {loss:.4g} left"
    if (share := values.get("share_of_threshold")) is not None:
        of = " ".join(filter(None, (values.get("signal"), values.get("feature"))))
        yield f"{share:.0%} of the threshold" + (f" ({of})" if of else "")


def _limits(found: Mapping[str, Any]) -> Iterator[str]:
    for better in found.get("improvable") or ():
        yield f"improvable: {better['text']}"
    limits, rows = found["limits"], found["rows"]
    if limits:
        until = limits["cooling_until"]
        yield f"cooldown: {'until ' + _time(until) if until else 'over'}"
        budget = limits["budget"]
        yield (
            "budget: no limit"
            if budget is None
            else f"budget: {budget['used']} of {budget['runs']} runs in {budget['per_seconds'] / _DAY:g} d used"
        )
        yield f"open runs: {', '.join((*limits['open_runs'], *limits['suggested_runs'])) or 'none'}"
    if rows and rows["missing"]:
        yield f"rows with outcomes: {rows['with_outcomes']}, {rows['missing']} missing of {rows['required']}"
    elif rows:
        yield f"rows with outcomes: {rows['with_outcomes']}, {rows['required']} needed"
    if last := found["last_decision"]:
        yield f"last decision: {last['action']}, {last['reason']}"
    yield (
        f"not promoted: {found['not_promoted']}"
        if found["not_promoted"]
        else "newest run: promoted"
        if found["last_run"]
        else "no run yet"
    )


def _time(value: object) -> str:
    return str(value)[:16].replace("T", " ")
