"""Replay a year of flights through the loop: `python -m examples.flights.demo --part 1.0`.

1. start the stack   2. train version 1 on two weeks of January, deploy it   3. replay the rest of the year over HTTP
4. compare the lake with every reply   5. tables, plot, reports, and one summary line

Exit code 0 only if no request failed, no row was lost and, for the full year, retraining reduced the loss.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pandas as pd
from rich.console import Console

from examples.flights import checks, first_version, plot
from examples.flights.data import load_flights
from examples.flights.faults import FAULTS, FaultInjection, parse_faults
from examples.flights.leak import BAD_CHALLENGER, Leak, wait_for_rollback
from examples.flights.replay import Answers, Replay
from examples.flights.report import draw_reports, monthly, monthly_table, row_losses, shadow_scores
from examples.loop import stack
from examples.loop.poller import TRAINED, LoopPoller, LoopView
from examples.loop.scoreboard import ENDED, Scoreboard, describe
from examples.loop.session import add_options, run_on_stack
from shared.stores.lake import Lake

MODEL = "flights"
RUN_TIMEOUT_S = 60.0
# Drift knows the time of the newest row to the millisecond.
PRECISION = timedelta(seconds=1)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code."""
    options = _options(argv)
    console = Console(stderr=options.json, soft_wrap=not sys.stdout.isatty())
    started = time.monotonic()
    return run_on_stack(options, console, lambda running: _replay(running, options, console, started))


def _replay(running: stack.Stack, options: argparse.Namespace, console: Console, started: float) -> int:
    kept_in = running.home / "demo"
    flights = load_flights()
    console.print("training version 1 on the first two weeks of January")
    artifact = first_version.train_first(flights, kept_in / "version-1")
    deploy = (
        "deploy",
        str(first_version.PROJECT),
        f"--artifact={artifact}",
        "--actor=demo",
        f"--home={running.home}",
    )
    console.print(stack.homeostat(*deploy).decode().strip(), highlight=False)

    year = flights[flights.event_time >= first_version.BEGINS]
    year = _part_of(year, options.part).reset_index(drop=True)
    poller = LoopPoller(running.drift, running.retraining, MODEL)
    poller.start()
    try:
        with Scoreboard(console, poller.view, len(year)) as board:
            more: dict[str, Any] = {}
            if BAD_CHALLENGER in options.inject:
                more["alter"] = Leak(year, poller.view, seed=options.seed).alter
            replay = Replay(
                year, running.inference, MODEL, poller.view, seed=options.seed, tick=board.tick, **more
            )
            faults = tuple(name for name in options.inject if name != BAD_CHALLENGER)
            with FaultInjection(running.home, faults, lambda text: _say(console, text)) as injection:
                answers = replay.run()
                injection.finish()
        lake = Lake(str(running.home / "lake"))
        kept = checks.wait_for_lake(lake, MODEL, answers)
        poller.wait_for_runs(RUN_TIMEOUT_S, year.event_time.iloc[-1].to_pydatetime() - PRECISION)
        taken_back = ""
        unexpected: list[str] = []
        if BAD_CHALLENGER in options.inject:
            with httpx.Client(timeout=10.0, trust_env=False) as client:
                taken_back, unexpected = wait_for_rollback(
                    client, running.retraining, running.inference, MODEL
                )
    finally:
        poller.close()
    loop_view = poller.view
    first = shadow_scores(artifact / "model.onnx", year)
    _keep(kept_in, year, answers, first)
    months = monthly(year, first, answers.score)
    seen = np.isfinite(answers.score) & year.outcome.notna().to_numpy()
    outcome = year.outcome.to_numpy("float64")
    losses = {
        "first": row_losses(outcome[seen], first[seen]),
        "served": row_losses(outcome[seen], answers.score[seen]),
    }
    promoted = [run for run in loop_view.runs if run["state"] == "promoted"]
    weeks = plot.weekly(year.event_time[seen], losses)
    promotion_times = [
        replay.clock.at(datetime.fromisoformat(run["ended_at"]).timestamp())
        for run in promoted
        if run.get("ended_at")
    ]
    plot.write_png(weeks, [pd.Timestamp(at) for at in promotion_times], kept_in / "weekly_loss.png")
    plot.write_html(weeks, [pd.Timestamp(at) for at in promotion_times], kept_in / "weekly_loss.html")
    drawn = draw_reports(running.drift, loop_view)

    by_hand = _releases_by_hand(running)
    totals = {name: float(values.mean()) for name, values in losses.items()}
    problems = list(kept.problems) + injection.problems + unexpected
    if answers.failed:
        problems.append(f"{answers.failed} requests failed: {'; '.join(answers.failures)}")
    full_year = options.part >= 1.0
    if full_year:
        problems += checks.failed_limits(totals["first"], totals["served"], len(promoted), by_hand)
    retrained = [run for run in loop_view.runs if run["state"] in TRAINED]
    line = (
        f"demo: flights={kept.answered} failed={answers.failed} lake={kept.in_lake} outcomes={kept.outcomes_in_lake} "
        f"retrained={len(retrained)} promoted={len(promoted)} logloss first={totals['first']:.4f} "
        f"served={totals['served']:.4f} minutes={(time.monotonic() - started) / 60:.1f}"
    )
    if taken_back:
        _say(console, f"bad challenger: {taken_back}")
    _show(console, months, loop_view, answers, kept, drawn, kept_in, full_year, problems)
    if options.json:
        document = {
            "line": line,
            "months": months.to_dict("records"),
            "problems": problems,
            "runs": loop_view.runs,
            "injected": injection.done,
        }
        print(
            orjson.dumps(
                document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY, default=str
            ).decode()
        )
    print(line, file=sys.stderr if options.json else sys.stdout, flush=True)
    return 1 if problems else 0


def _show(
    console: Console,
    months: pd.DataFrame,
    view: LoopView,
    answers: Answers,
    kept: checks.Conservation,
    drawn: int,
    folder: Path,
    full_year: bool,
    problems: list[str],
) -> None:
    console.print(monthly_table(months))
    for run in sorted(view.runs, key=lambda run: str(run["event_time"])):
        if run["state"] in ENDED:
            console.print(describe(run), highlight=False, markup=False)
    reasons = Counter(f"{decision['action']} ({decision['reason_code']})" for decision in view.decisions)
    counts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    console.print(f"decisions: {counts}", highlight=False, markup=False)
    console.print(f"requests {answers.requests}, failed {answers.failed}", highlight=False)
    console.print(
        f"predictions answered {kept.answered}, in the lake {kept.in_lake}; "
        f"outcomes sent {kept.outcomes_sent}, in the lake {kept.outcomes_in_lake}",
        highlight=False,
    )
    console.print(f"{drawn} drift reports written; plot: {folder / 'weekly_loss.html'}", highlight=False)
    if not full_year:
        console.print(
            "not the full year: conservation is checked, the limits for loss and promotions are not"
        )
    for problem in problems:
        console.print(f"failed check: {problem}", style="red", highlight=False, markup=False)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False)


def _part_of(year: pd.DataFrame, part: float) -> pd.DataFrame:
    """The first `part` of the time from the beginning to the year's end."""
    first, last = year.event_time.iloc[0], year.event_time.iloc[-1]
    kept: pd.DataFrame = year[year.event_time <= first + (last - first) * part]
    return kept


def _releases_by_hand(running: stack.Stack) -> int:
    """Releases after the first that a person made."""
    listed = orjson.loads(stack.homeostat("releases", MODEL, "--json", f"--home={running.home}"))
    releases = listed["releases"] if isinstance(listed, dict) else listed
    return sum(1 for release in releases if release["generation"] > 1 and release["actor"] != "loop")


def _keep(folder: Path, year: pd.DataFrame, answers: Answers, first: np.ndarray[Any, Any]) -> None:
    """Write every reply, row by row, for analysis."""
    pd.DataFrame(
        {
            "event_time": year.event_time,
            "prediction_id": answers.prediction_id,
            "version": answers.version,
            "generation": answers.generation,
            "served": answers.score,
            "first": first,
            "outcome": year.outcome,
        }
    ).to_parquet(folder / "replies.parquet", index=False)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="homeostat demo", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    add_options(parser, home="flights")
    parser.add_argument("--part", type=float, default=1.0, help="share of the year that is replayed")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")
    parser.add_argument(
        "--inject",
        type=_faults,
        default=(),
        help=f"faults injected during the replay, comma-separated: {', '.join((*FAULTS, BAD_CHALLENGER))}",
    )
    return parser.parse_args(argv)


def _faults(text: str) -> tuple[str, ...]:
    try:
        return parse_faults(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
