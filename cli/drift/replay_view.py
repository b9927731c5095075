"""How a replay is shown: its alarms as a table, and what to expect of the budget in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table

_SAME = ("state", "drifted", "features", "slices", "generation")
_COLOURS = {"drift": "red", "data_fault": "magenta"}


def replay_view(found: Mapping[str, Any]) -> Group:
    """The table and the sentences."""
    parts: list[Any] = [alarms_table(found["alarms"])] if found["alarms"] else []
    return Group(*parts, *(escape(one) for one in sentences(found)))


def alarms_table(alarms: Sequence[Mapping[str, Any]]) -> Table:
    """One line per alarm, in the order in which they would have been known."""
    table = Table(box=None)
    for head in ("known at, UTC", "detector", "state", "kind", "features, slices", "why"):
        table.add_column(head, overflow="fold")
    for alarm, more_windows, last in _episodes(alarms):
        colour = _COLOURS.get(alarm["state"], "default")
        blamed = [*alarm["features"][:5], *alarm["slices"][:5]]
        more = len(alarm["features"]) + len(alarm["slices"]) - len(blamed)
        table.add_row(
            _moment(alarm["known_at"]),
            alarm["detector"],
            f"[{colour}]{alarm['state']}[/]",
            escape(", ".join(alarm["drifted"])),
            escape(", ".join(blamed) + (f" and {more} more" if more > 0 else "")),
            escape(alarm["explanation"])
            + (f" [dim]{more_windows} more of the same until {_moment(last)}.[/]" if more_windows else ""),
        )
    return table


def _episodes(alarms: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], int, str]]:
    """Alarms that say the same as the one before of the same detector are one line: the first, how many more, and the last."""
    found: list[tuple[Mapping[str, Any], int, str]] = []
    newest: dict[str, int] = {}
    for alarm in alarms:
        place = newest.get(alarm["detector"])
        if place is not None and all(found[place][0][key] == alarm[key] for key in _SAME):
            first, more, _ = found[place]
            found[place] = first, more + 1, alarm["known_at"]
            continue
        newest[alarm["detector"]] = len(found)
        found.append((alarm, 0, alarm["known_at"]))
    return found


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What was replayed, what to expect, and how long the known change went unseen."""
    false, alarms = found["false_alarms"], len(found["alarms"])
    lines = [
        f"{found['model']}: {found['windows']} windows with {found['rows']} rows, {alarms} alarm{'s' if alarms != 1 else ''}.",
        f"Without any change, at most {false['expected_at_most']:.2g} false alarms are to be expected in these "
        f"{false['days']:.4g} days (budget: {false['per_30_days']:g} in 30 days).",
    ]
    delay = found["delay"]
    if delay is not None:
        lines.append(_delay_sentence(delay, false["alarms_before_change"]))
    lines += [f"Not replayed: {one}." for one in found["skipped"]]
    if found["plot"]:
        lines.append(f"Plot: {found['plot']}")
    return lines


def _delay_sentence(delay: Mapping[str, Any], before: int) -> str:
    change, early = _moment(delay["change_at"]), f"{before} alarm{'s' if before != 1 else ''} before it"
    if delay["seconds"] is None:
        return f"The change at {change} was not found; {early}."
    by = ", ".join(f"{name} {_duration(seconds)}" for name, seconds in delay["of"].items())
    return f"The change at {change} was found after {_duration(delay['seconds'])} ({by}) and {delay['rows']} rows; {early}."


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"


def _duration(seconds: float) -> str:
    whole = timedelta(seconds=round(seconds))
    hours = whole.total_seconds() / 3600
    return (
        f"{hours / 24:.1f} days"
        if hours >= 48
        else (f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min")
    )
