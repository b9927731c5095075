"""How the steps of a run are shown to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_INTERVALS = 3


def steps_view(found: Mapping[str, Any]) -> Group:
    """A line on the run, a table of its steps, and the ends of logs. Digests are never cut, so that they can be compared."""
    head = Text(f"{found['run_id']} of {found['model']}: {found['state']}")
    if found.get("reason"):
        head.append(f", {found['reason']}")
    table = Table(box=None)
    for column in ("step", "state", "seconds", "inputs", "outputs"):
        table.add_column(column, overflow="fold")
    for step in found["steps"]:
        seconds = step["seconds"]
        table.add_row(
            str(step["step"]),
            str(step["state"]),
            "–" if seconds is None else f"{seconds:.1f}",
            escape("\n".join(_lines(step["inputs"])) or "–"),
            escape("\n".join(_lines(step["outputs"])) or "–"),
        )
    logs = [
        Text(f"log of {step['step']}:\n" + "\n".join(f"  {line}" for line in step["log"]))
        for step in found["steps"]
        if step["log"]
    ]
    return Group(head, table, *logs)


def _lines(values: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """`name value` for each value that is there; what is in a mapping is named `mapping.name`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _lines(value, f"{within}{name}.")
        elif value not in (None, "", []):
            shown = _list(value) if isinstance(value, list) else value
            yield f"{within}{name} {shown:.6g}" if isinstance(value, float) else f"{within}{name} {shown}"


def _list(values: list[Any]) -> str:
    """Words in a line; of intervals, which may be hundreds, the number and the first ones."""
    if not isinstance(values[0], list):
        return " ".join(map(str, values))
    shown = [" to ".join(map(str, one)) for one in values[:_INTERVALS]]
    more = f", and {len(values) - _INTERVALS} more" if len(values) > _INTERVALS else ""
    return f"({len(values)}) {', '.join(shown)}{more}"
