"""`python -m deploy.containers.demo`: a small model through the whole loop of the running containers; a one-shot.

1. A project is written as `homeostat init` writes it, but with `automation: auto`, trained and deployed.
2. Days of parcels are asked, and what became of them is told when it is known. After a week the world changes.
3. The loop notices, trains, proves and releases by itself; each day one line tells how the served model does.

Exit code 0 once a version that the loop made is served and nothing failed; 1 where that does not happen in `--days` days.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np

from local_stack.addresses import addresses
from local_stack.settings import LocalStackSettings
from shared.errors import Conflict, HomeostatError
from shared.http.service_client import ServiceClient, items

MODEL = "parcels"
FIRST_DAY = datetime(2026, 1, 31, tzinfo=UTC)  # make_data.py ends here
ROWS_A_DAY = 500
CALM_DAYS = 7
DAY = timedelta(days=1)
SERVICES = np.array(["economy", "standard", "express"])
LATENESS = np.array([0.3, -0.4, -1.2])
CHANGED = np.array([-1.6, 0.9, 1.8])  # the depot now sends economy first and lets express wait
LOOK_S = 0.3
STANDSTILL_S = 120.0


@dataclass
class Day:
    """One day's parcels: what is asked, and what will have become of them."""

    rows: list[dict[str, Any]]
    outcome: np.ndarray[Any, np.dtype[np.float64]]
    start: datetime
    ids: list[str] = field(default_factory=list)
    loss: float = 0.0
    generation: int = 0


def make_day(number: int) -> Day:
    """Day `number` of the replay, seeded by it."""
    random = np.random.default_rng(number)
    service = random.choice(3, ROWS_A_DAY, p=[0.5, 0.35, 0.15])
    distance = random.gamma(2.0, 220.0, ROWS_A_DAY).clip(1, 5000)
    weight = random.gamma(1.5, 2.0, ROWS_A_DAY).clip(0.05, 100)
    today = random.poisson(400, ROWS_A_DAY)
    lateness = LATENESS if number < CALM_DAYS else CHANGED
    logit = lateness[service] + 0.0016 * (distance - 440) + 0.05 * (weight - 3) + 0.008 * (today - 400)
    late = random.random(ROWS_A_DAY) < 1 / (1 + np.exp(-logit))
    rows = [
        {"service": str(a), "distance_km": float(b), "weight_kg": float(c), "parcels_today": int(d)}
        for a, b, c, d in zip(SERVICES[service], distance, weight, today, strict=True)
    ]
    return Day(rows, late.astype(float), FIRST_DAY + number * DAY)


class Replay:
    """Asks and tells, day after day."""

    def __init__(self, settings: LocalStackSettings) -> None:
        where = addresses(settings)
        self._inference = ServiceClient("inference", where.inference)
        self._drift = ServiceClient("drift", where.drift)
        self._retraining = ServiceClient("retraining", where.retraining)
        self._outcomes = httpx.Client(base_url=where.inference, timeout=30, trust_env=False)

    def ask(self, day: Day) -> None:
        """Ask for the day's parcels, an hour at a time."""
        for hour in range(24):
            places = range(hour * ROWS_A_DAY // 24, (hour + 1) * ROWS_A_DAY // 24)
            at = day.start + timedelta(hours=hour)
            body: dict[str, object] = {
                "model": MODEL,
                "event_time": at.isoformat(),
                "rows": [day.rows[place] for place in places],
            }
            answer = self._inference.post("/predict", body)
            day.generation = int(answer["generation"])
            for place, item in zip(places, answer["predictions"], strict=True):
                score = min(max(float(item["score"]), 1e-7), 1 - 1e-7)
                truth = day.outcome[place]
                day.loss -= float(truth * np.log(score) + (1 - truth) * np.log(1 - score)) / ROWS_A_DAY
                day.ids.append(item["prediction_id"])

    def tell(self, day: Day) -> None:
        """Tell what became of a day's parcels, a day later. Raises HTTPStatusError."""
        seen = (day.start + DAY).isoformat()
        told = [
            {"prediction_id": one, "value": float(value), "observed_at": seen}
            for one, value in zip(day.ids, day.outcome, strict=True)
        ]
        self._outcomes.post("/outcomes", json={"outcomes": told}).raise_for_status()

    def wait(self, until: datetime) -> str:
        """Wait until drift has judged up to `until` and no run is at work; what the loop last did.

        Event time here runs faster than the clock: the days wait for the loop, as the world would have to.
        """
        ends = time.monotonic() + STANDSTILL_S
        while time.monotonic() < ends:
            judged = [one for one in self._drift.get("/status")["models"] if one["model"] == MODEL]
            watermark = judged[0].get("watermark") if judged else None
            at_work = self._retraining.get("/status")["active_runs"]
            if watermark and datetime.fromisoformat(watermark) >= until and not at_work:
                return self._last()
            time.sleep(LOOK_S)
        raise HomeostatError(
            f"the loop has not judged up to {until:%Y-%m-%d} within {STANDSTILL_S:.0f} s",
            hint="docker compose logs sink drift retraining",
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._outcomes.close()

    def _last(self) -> str:
        verdicts = items(self._drift.get("/verdicts", model=MODEL, limit=1), "verdicts")
        decisions = items(self._retraining.get("/decisions", model=MODEL, limit=1), "decisions")
        runs = items(self._retraining.get("/runs", model=MODEL, limit=1), "runs")
        told = [f"verdict {verdicts[0]['state']}"] if verdicts else []
        told += [f"decision {decisions[0]['action']} ({decisions[0]['reason_code']})"] if decisions else []
        return ", ".join([*told, f"run {runs[0]['state']}"] if runs else told)


def deploy(settings: LocalStackSettings) -> None:
    """Write, train and deploy the project. Raises Conflict where it is served already, CalledProcessError where a step fails."""
    where = addresses(settings)
    with ServiceClient("inference", where.inference) as inference:
        if any(one["name"] == MODEL for one in inference.get("/status.json")["models"]):
            raise Conflict(
                f"{MODEL} is served already: the demo tells its story once",
                hint="docker compose --profile demo down --volumes forgets everything, then start again",
            )
    folder = settings.home / "demo" / MODEL
    shutil.rmtree(folder, ignore_errors=True)
    homeostat = [sys.executable, "-m", "cli"]
    subprocess.run([*homeostat, "init", str(folder)], check=True)
    loop = folder / "loop.yaml"
    loop.write_text(loop.read_text().replace("automation: suggest", "automation: auto"))
    subprocess.run([sys.executable, "make_data.py"], cwd=folder, check=True)
    rows = [f"--train={folder / 'train.parquet'}", f"--holdout={folder / 'holdout.parquet'}"]
    subprocess.run([*homeostat, "deploy", str(folder), *rows, "--actor=demo"], check=True)


def replay(settings: LocalStackSettings, days: int, pause_s: float) -> int:
    """Replay `days` days, `pause_s` seconds between two; the exit code."""
    loop = Replay(settings)
    yesterday: Day | None = None
    try:
        for number in range(days):
            day = make_day(number)
            loop.ask(day)
            if yesterday is not None:
                loop.tell(yesterday)
            told = loop.wait(day.start - timedelta(days=4)) if number > 4 else ""
            world = "changed" if number >= CALM_DAYS else "calm"
            print(
                f"{day.start:%Y-%m-%d} {world:8} generation {day.generation} log-loss {day.loss:.3f} {told}",
                flush=True,
            )
            if day.generation > 1 and number > CALM_DAYS:
                print(f"demo: served by generation {day.generation}, which the loop made; days={number + 1}")
                return 0
            yesterday = day
            time.sleep(pause_s)
    finally:
        loop.close()
    print(
        f"demo: no new version in {days} days; `homeostat report {MODEL}` and the console say why",
        file=sys.stderr,
    )
    return 1


def main(arguments: list[str] | None = None) -> int:
    """Deploy and replay; the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--days", type=int, default=40, help="most days that are replayed")
    parser.add_argument(
        "--pause", type=float, default=0.0, help="seconds between two days, for who wants to watch"
    )
    given = parser.parse_args(arguments)
    settings = LocalStackSettings()
    try:
        deploy(settings)
        return replay(settings, given.days, given.pause)
    except subprocess.CalledProcessError as error:  # it has said what is wrong itself
        return int(error.returncode)
    except (HomeostatError, httpx.HTTPError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
