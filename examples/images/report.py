"""What the days showed: how often the served versions and version 1 alone were right, the verdict of each day. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from rich.table import Table

from examples.images.camera import FADED_FROM, SCALED_FROM
from examples.images.replay import Replayed

_WORST_FIRST = ("data_fault", "drift", "insufficient_data", "warming_up", "ok")


def daily(
    replayed: Replayed,
    first: Mapping[int, Sequence[str]],
    verdicts: Sequence[Mapping[str, Any]],
    begins: datetime,
) -> pd.DataFrame:
    """Per day: camera, pictures, share of right labels served and of version 1, versions that answered, state of the verdict.

    `first`: what version 1 says of all pictures of a day. A day without a verdict has an empty `verdict`.
    """
    served = pd.DataFrame({name: getattr(replayed, name) for name in ("day", "label", "outcome", "version")})
    states: dict[int, str] = {}
    ends: dict[int, str] = {}
    for verdict in verdicts:  # newest first: the worst of the newest window of a day counts
        if verdict.get("detector") == "stream":  # an alarm between windows
            continue
        window_day = (window_middle(verdict) - begins) // timedelta(days=1)
        state, end = str(verdict["state"]), str(verdict["window_end"])
        if ends.setdefault(window_day, end) == end:
            states[window_day] = min(state, states.get(window_day, "ok"), key=_WORST_FIRST.index)
    order = {version: place + 1 for place, version in enumerate(dict.fromkeys(replayed.version))}
    found = []
    for day, part in served.groupby("day"):
        number = int(str(day))
        alone = first[number]
        found.append(
            {
                "day": number,
                "camera": _camera(number),
                "pictures": len(part),
                "served": float((part.label == part.outcome).mean()),
                # A lost request would shift the pictures of its day: then this day has no comparison.
                "first": float((pd.Series(alone) == part.outcome.reset_index(drop=True)).mean())
                if len(alone) == len(part)
                else float("nan"),
                "versions": " ".join(str(order[version]) for version in dict.fromkeys(part.version)),
                "verdict": states.get(number, ""),
            }
        )
    return pd.DataFrame(found)


def window_middle(verdict: Mapping[str, Any]) -> datetime:
    """The middle of a verdict's window. Windows of a new version begin when it was promoted, not at midnight."""
    start, end = (datetime.fromisoformat(verdict[name]) for name in ("window_start", "window_end"))
    return start + (end - start) / 2


def daily_table(days: pd.DataFrame) -> Table:
    """The table for a person."""
    table = Table("day", "camera", "pictures", "version 1 right", "served right", "versions", "verdict")
    for column in table.columns:
        column.no_wrap = column.header in ("camera", "verdict")
    for row in days.to_dict("records"):
        table.add_row(
            f"{row['day'] + 1}",
            row["camera"],
            str(row["pictures"]),
            f"{row['first']:.0%}",
            f"{row['served']:.0%}",
            row["versions"],
            row["verdict"],
        )
    return table


def _camera(day: int) -> str:
    if day >= SCALED_FROM:
        return "12 bits"
    return "lamp faded" if day >= FADED_FROM else "installed"
