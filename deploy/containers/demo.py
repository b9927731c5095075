"""`python -m deploy.containers.demo`: runs a small model through the whole loop of the running containers, once.

1. Write a project with `homeostat init` and `automation: auto`, train and deploy it.
2. Replay days of parcels: send predictions, and the outcomes a day later. After a week the relation changes (concept drift).
3. The loop detects the drift, retrains and rolls out a new version. Each day prints one line with the loss of the served model.

Exit code 0 once a retrained version is served and nothing failed; 1 if that does not happen within `--days` days.
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
from shared.http.service_client import items
from shared.tls.client_environment import client_tls

MODEL = "parcels"
FIRST_DAY = datetime(2026, 1, 31, tzinfo=UTC)  # make_data.py ends here
ROWS_PER_DAY = 500
STABLE_DAYS = 7
DAY = timedelta(days=1)
SERVICES = np.array(["economy", "standard", "express"])
LATENESS = np.array([0.3, -0.4, -1.2])
LATENESS_AFTER_DRIFT = np.array(
    [-1.6, 0.9, 1.8]
)  # the depot now sends economy parcels first and express parcels last
POLL_S = 0.3
TIMEOUT_S = 120.0


@dataclass
class Day:
    """The parcels of one day: rows and outcomes."""

    rows: list[dict[str, Any]]
    outcome: np.ndarray[Any, np.dtype[np.float64]]
    start: datetime
    ids: list[str] = field(default_factory=list)
    loss: float = 0.0
    generation: int = 0


def make_day(number: int) -> Day:
    """Day `number` of the replay, seeded by it."""
    random = np.random.default_rng(number)
    service = random.choice(3, ROWS_PER_DAY, p=[0.5, 0.35, 0.15])
    distance = random.gamma(2.0, 220.0, ROWS_PER_DAY).clip(1, 5000)
    weight = random.gamma(1.5, 2.0, ROWS_PER_DAY).clip(0.05, 100)
    today = random.poisson(400, ROWS_PER_DAY)
    lateness = LATENESS if number < STABLE_DAYS else LATENESS_AFTER_DRIFT
    logit = lateness[service] + 0.0016 * (distance - 440) + 0.05 * (weight - 3) + 0.008 * (today - 400)
    late = random.random(ROWS_PER_DAY) < 1 / (1 + np.exp(-logit))
    rows = [
        {"service": str(a), "distance_km": float(b), "weight_kg": float(c), "parcels_today": int(d)}
        for a, b, c, d in zip(SERVICES[service], distance, weight, today, strict=True)
    ]
    return Day(rows, late.astype(float), FIRST_DAY + number * DAY)


class Replay:
    """Sends predictions and outcomes, one day after another."""

    def __init__(self, settings: LocalStackSettings) -> None:
        where = addresses(settings)
        self._inference = where.client("inference")
        self._drift = where.client("drift")
        self._retraining = where.client("retraining")
        self._outcomes = httpx.Client(
            base_url=where.inference,
            headers=where.key.headers(where.inference),
            timeout=30,
            trust_env=False,
            verify=client_tls().context(),
        )

    def send_predictions(self, day: Day) -> None:
        """Send the day's parcels, one request per hour."""
        for hour in range(24):
            places = range(hour * ROWS_PER_DAY // 24, (hour + 1) * ROWS_PER_DAY // 24)
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
                outcome = day.outcome[place]
                day.loss -= float(outcome * np.log(score) + (1 - outcome) * np.log(1 - score)) / ROWS_PER_DAY
                day.ids.append(item["prediction_id"])

    def send_outcomes(self, day: Day) -> None:
        """Send a day's outcomes, observed one day later. Raises HTTPStatusError."""
        observed_at = (day.start + DAY).isoformat()
        outcomes = [
            {"prediction_id": one, "value": float(value), "observed_at": observed_at}
            for one, value in zip(day.ids, day.outcome, strict=True)
        ]
        self._outcomes.post("/outcomes", json={"outcomes": outcomes}).raise_for_status()

    def wait(self, until: datetime) -> str:
        """Wait until drift has evaluated up to `until` and no run is active. Returns the last verdict, decision and run.

        The replay is faster than real time, so each day has to wait for the loop.
        """
        ends = time.monotonic() + TIMEOUT_S
        while time.monotonic() < ends:
            evaluated = [one for one in self._drift.get("/status")["models"] if one["model"] == MODEL]
            watermark = evaluated[0].get("watermark") if evaluated else None
            active = self._retraining.get("/status")["active_runs"]
            if watermark and datetime.fromisoformat(watermark) >= until and not active:
                return self._last()
            time.sleep(POLL_S)
        raise HomeostatError(
            f"drift has not evaluated up to {until:%Y-%m-%d} within {TIMEOUT_S:.0f} s",
            hint="docker compose logs sink drift retraining",
        )

    def close(self) -> None:
        """Close the connections."""
        self._outcomes.close()

    def _last(self) -> str:
        verdicts = items(self._drift.get("/verdicts", model=MODEL, limit=1), "verdicts")
        decisions = items(self._retraining.get("/decisions", model=MODEL, limit=1), "decisions")
        runs = items(self._retraining.get("/runs", model=MODEL, limit=1), "runs")
        shown = [f"verdict {verdicts[0]['state']}"] if verdicts else []
        shown += [f"decision {decisions[0]['action']} ({decisions[0]['reason_code']})"] if decisions else []
        return ", ".join([*shown, f"run {runs[0]['state']}"] if runs else shown)


def deploy(settings: LocalStackSettings) -> None:
    """Write, train and deploy the project. Raises Conflict if it is served already, CalledProcessError if a step fails."""
    where = addresses(settings)
    with where.client("inference") as inference:
        if any(one["name"] == MODEL for one in inference.get("/status.json")["models"]):
            raise Conflict(
                f"{MODEL} is served already; the demo needs a new installation",
                hint="delete it with `docker compose --profile demo down --volumes`, then start again",
            )
    folder = settings.home / "demo" / MODEL
    shutil.rmtree(folder, ignore_errors=True)
    homeostat = [sys.executable, "-m", "cli"]
    subprocess.run([*homeostat, "init", str(folder)], check=True)
    loop = folder / "loop.yaml"
    loop.write_text(loop.read_text().replace("automation: suggest", "automation: auto"))
    subprocess.run([sys.executable, "make_data.py"], cwd=folder, check=True)
    rows = [f"--train={folder / 'train.parquet'}", f"--holdout={folder / 'holdout.parquet'}"]
    subprocess.run([*homeostat, "deploy", str(folder), *rows, "--no-import", "--actor=demo"], check=True)


def replay(settings: LocalStackSettings, days: int, pause_s: float) -> int:
    """Replay `days` days with a pause of `pause_s` seconds between them. Returns the exit code."""
    loop = Replay(settings)
    yesterday: Day | None = None
    try:
        for number in range(days):
            day = make_day(number)
            loop.send_predictions(day)
            if yesterday is not None:
                loop.send_outcomes(yesterday)
            shown = loop.wait(day.start - timedelta(days=4)) if number > 4 else ""
            relation = "changed" if number >= STABLE_DAYS else "stable"
            print(
                f"{day.start:%Y-%m-%d} {relation:8} generation {day.generation} log-loss {day.loss:.3f} {shown}",
                flush=True,
            )
            if day.generation > 1 and number > STABLE_DAYS:
                print(f"demo: generation {day.generation}, made by retraining, is served; days={number + 1}")
                return 0
            yesterday = day
            time.sleep(pause_s)
    finally:
        loop.close()
    print(
        f"demo: no new version in {days} days; `homeostat report {MODEL}` and the console show the reason",
        file=sys.stderr,
    )
    return 1


def main(arguments: list[str] | None = None) -> int:
    """Deploy and replay. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--days", type=int, default=40, help="maximum number of days to replay")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two days")
    given = parser.parse_args(arguments)
    settings = LocalStackSettings()
    try:
        deploy(settings)
        return replay(settings, given.days, given.pause)
    except subprocess.CalledProcessError as error:  # the command has printed the error
        return int(error.returncode)
    except (HomeostatError, httpx.HTTPError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
