"""Sixteen days of pictures through the loop: `python -m examples.images.demo`.

1. start the stack   2. train version 1 on six days of pictures, deploy it   3. send the days over HTTP: the lamp fades on day 9,
a new driver sends numbers of another scale on day 15   4. compare the lake with every reply   5. a table, and one summary line

Exit code 0 only if no request failed, no row was lost, a new version learned the faded lamp, and none was trained on broken data.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console

from examples.images import checks, first_version
from examples.images.camera import DAYS, FADED_FROM, SCALED_FROM
from examples.images.data import BEGINS, day_of_pictures
from examples.images.picture_sheet import write_sheet
from examples.images.replay import MODEL, Replay, Replayed
from examples.images.report import daily, daily_table
from examples.loop import stack
from examples.loop.poller import LoopPoller
from examples.loop.scoreboard import Scoreboard
from examples.loop.session import add_options, run_on_stack
from shared.stores.lake import Lake

ROWS_PER_DAY = 120
RUN_TIMEOUT_S = 120.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the example; the exit code."""
    options = _options(argv)
    console = Console(soft_wrap=not sys.stdout.isatty())
    started = time.monotonic()
    return run_on_stack(options, console, lambda running: _replay(running, options, console, started))


def _replay(running: stack.Stack, options: argparse.Namespace, console: Console, started: float) -> int:
    rows, kept_in = options.rows, running.home / "demo"
    write_sheet(kept_in / "pictures.png", options.seed)
    console.print(f"training version 1 on {first_version.DAYS} days of {rows} pictures")
    artifact = first_version.train_first(kept_in / "version-1", rows, options.seed)
    given = (str(first_version.PROJECT), f"--artifact={artifact}", "--actor=demo", f"--home={running.home}")
    console.print(stack.homeostat("deploy", *given).decode().strip(), highlight=False, markup=False)

    days = {day: day_of_pictures(day, rows, options.seed) for day in range(DAYS)}
    poller = LoopPoller(running.drift, running.retraining, MODEL)
    poller.start()
    try:
        with Scoreboard(console, poller.view, rows * DAYS, period="%d %B") as board:
            replay = Replay(running.inference, poller.view, BEGINS, tick=board.tick)
            for day, pictures in days.items():
                replay.send_day(day, pictures)
            replay.close()
        replayed = replay.replayed
        logged = checks.wait_for_lake(Lake(str(running.home / "lake")), MODEL, replayed)
        checks.wait_for_verdicts(poller, DAYS - 2)
        poller.wait_for_runs(RUN_TIMEOUT_S)
    finally:
        poller.close()
    table = daily(replayed, first_version.labels(artifact, days), poller.view.verdicts, BEGINS)
    console.print(daily_table(table))
    problems = [*logged.problems, *checks.failed_limits(table, poller.view.runs)]
    if replayed.failures:
        problems.append(f"{len(replayed.failures)} requests failed, first: {replayed.failures[0]}")
    for problem in problems:
        console.print(f"failed check: {problem}", style="red", highlight=False, markup=False)
    print(_summary(table, replayed, logged, poller.view.runs, started), flush=True)
    return 1 if problems else 0


def _summary(
    days: pd.DataFrame,
    replayed: Replayed,
    logged: checks.Logged,
    runs: Sequence[Mapping[str, Any]],
    started: float,
) -> str:
    """The figures in one line. `right`: shares of the days with the faded lamp, before the driver changed."""
    faded = days[(days.day >= FADED_FROM) & (days.day < SCALED_FROM)]
    promoted = sum(run["state"] == "promoted" for run in runs)
    faults = int((days.verdict == "data_fault").sum())
    return (
        f"images: pictures={len(replayed.prediction_id)} failed={len(replayed.failures)} lake={logged.rows} "
        f"right_with_faded_lamp version_1={faded['first'].mean():.3f} served={faded.served.mean():.3f} promoted={promoted} "
        f"data_faults={faults} minutes={(time.monotonic() - started) / 60:.1f}"
    )


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add_options(parser, home="images")
    parser.add_argument("--rows", type=int, default=ROWS_PER_DAY, help="pictures a day")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
