"""Progress bar and table of the loop during the replay; plain lines without a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.loop.poller import LoopView

SHOWN = 12
ENDED = frozenset({"promoted", "refused", "succeeded", "failed", "rejected", "abandoned"})


class Scoreboard:
    """Shows `view` and how many of `rows` are answered; use as a context.

    Without a terminal, a line is printed when the text of `period`, a format of strftime, changes.
    """

    def __init__(self, console: Console, view: LoopView, rows: int, *, period: str = "%B") -> None:
        self._console, self._view, self._period = console, view, period
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("", total=rows)
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._draw)
        self._printed: set[str] = set()
        self._printed_period = ""

    def __enter__(self) -> Scoreboard:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def tick(self, now: datetime, answered: int) -> None:
        """Update to simulated time `now` and the number of answered rows."""
        self._progress.update(self._task, completed=answered, description=f"{now:%d %b %H:%M}")
        if not self._console.is_terminal:
            self._print(now, answered)

    def _print(self, now: datetime, answered: int) -> None:
        if (period := now.strftime(self._period)) != self._printed_period:
            self._printed_period = period
            self._console.print(f"{now:%Y-%m-%d} {answered} predictions", highlight=False)
        for run in reversed(self._view.runs):
            if run["state"] in ENDED and run["run_id"] not in self._printed:
                self._printed.add(run["run_id"])
                self._console.print(f"{now:%Y-%m-%d} {describe(run)}", highlight=False, markup=False)

    def _draw(self) -> Group:
        table = Table("window", "of", "verdict", "decision", "run", "release", expand=True)
        decisions = {decision["cause_key"]: decision for decision in self._view.decisions}
        runs = {run["cause_key"]: run for run in self._view.runs}
        for verdict in self._view.verdicts[:SHOWN]:
            key = verdict["verdict_id"]
            decision, run = decisions.get(key, {}), runs.get(key, {})
            loss = "" if verdict.get("loss") is None else f" {verdict['loss']:.3f}"
            released = f"generation {run['generation']}" if run.get("generation") else ""
            table.add_row(
                f"{verdict['window_start'][5:10]} to {verdict['window_end'][5:10]}",
                verdict["detector"],
                verdict["state"] + loss,
                " ".join(str(decision.get(name, "")) for name in ("action", "reason_code")).strip(),
                str(run.get("state", "")),
                released,
            )
        return Group(table, self._progress)


def describe(run: dict[str, Any]) -> str:
    """The result of a run in one line."""
    gate = run.get("gate") or {}
    reason = run.get("reason") or gate.get("reason") or ""
    return f"run of {run['event_time'][:10]} {run['state']}: {reason}".rstrip(": ")
