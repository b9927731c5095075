"""Injected rows stay: they are rows of the lake like any other, and a later run trains on them. So some scenarios need a yes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from local_stack.fault_injection.target import Served
from shared.errors import CallerError
from shared.stores.lake import Lake

# At these levels a person starts every run.
HARMLESS = ("observe", "suggest")


class Injected:
    """`<home>/injected/<model>.jsonl`: what scenarios have sent, one line each: when, how many rows, of which event time."""

    def __init__(self, home: Path, model: str) -> None:
        self._file = home / "injected" / f"{model}.jsonl"

    def rows(self) -> int:
        """Rows that were answered, in all."""
        if not self._file.exists():
            return 0
        lines = self._file.read_text(encoding="utf-8").splitlines()
        return sum(int(json.loads(line)["rows"]) for line in lines)

    def add(self, rows: int, start: datetime, end: datetime) -> None:
        """Note `rows` answered rows with event times in [start, end]."""
        if rows == 0:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        line = {
            "at": datetime.now(UTC).isoformat(),
            "rows": rows,
            "start": start.isoformat(),
            "end": end.isoformat(),
        }
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def require_confirmation(served: Served, lake: Lake, injected: Injected, *, yes: bool) -> None:
    """Raise `CallerError` without a `yes` where injected rows may do harm: the loop trains on them by itself, or they come
    among rows of others."""
    if yes:
        return
    reason = ""
    others = lake.count_predictions(served.model) - injected.rows()
    if served.loop.automation not in HARMLESS:
        reason = f"{served.model} has automation: {served.loop.automation}: the loop trains by itself on what is injected"
    elif others > 0:
        reason = f"the lake holds rows of {served.model} that no scenario has sent ({others}); injected ones stay among them"
    if reason:
        raise CallerError(
            reason, hint="give --yes if they may, or rehearse on a home you can throw away (--home)"
        )
