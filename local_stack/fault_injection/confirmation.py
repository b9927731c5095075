"""Injected rows stay in the lake, and later runs train on them. So some scenarios need a confirmation (`--yes`)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from local_stack.fault_injection.target import Target
from shared.errors import CallerError

# Automation levels at which a person starts every run.
MANUAL_LEVELS = ("observe", "suggest")


class InjectionLog:
    """`<home>/injected/<model>.jsonl`: one line for each scenario: when it was sent, how many rows, and their event times."""

    def __init__(self, home: Path, model: str) -> None:
        self._file = home / "injected" / f"{model}.jsonl"

    def rows(self) -> int:
        """Number of injected rows that were answered."""
        if not self._file.exists():
            return 0
        lines = self._file.read_text(encoding="utf-8").splitlines()
        return sum(int(json.loads(line)["rows"]) for line in lines)

    def add(self, rows: int, start: datetime, end: datetime) -> None:
        """Record `rows` answered rows with event times in [start, end]."""
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


def require_confirmation(target: Target, logged: int, injected: InjectionLog, *, yes: bool) -> None:
    """Raise `CallerError` unless `yes` is given, if the model retrains automatically, or if of its `logged` rows in the lake
    some were not injected."""
    if yes:
        return
    reason = ""
    others = logged - injected.rows()
    if target.loop.automation not in MANUAL_LEVELS:
        reason = f"{target.model} has automation: {target.loop.automation}, so it would be retrained on injected rows"
    elif others > 0:
        reason = f"the lake holds rows of {target.model} that were not injected ({others}); injected rows would stay among them"
    if reason:
        raise CallerError(reason, hint="confirm with --yes, or use a --home that you can delete")
