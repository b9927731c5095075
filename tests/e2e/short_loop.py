"""A whole loop within a minute, on the real stack: a model is deployed, the world turns over, the loop notices and retrains."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq

from local_stack.state import read_state
from tests.fakes.callers import local_headers
from tests.waiting import bound, time_factor

ROOT = Path(__file__).parents[2]
MODEL = "parcels"
BEGINS = datetime(2026, 2, 1, tzinfo=UTC)
SOUND_DAYS = 2  # of the world as the model learned it; from then on what was late is on time
MAX_DAYS = 20
WORKING = {
    "queued",
    "snapshotting",
    "training",
    "packaging",
    "evaluating",
    "shadowing",
    "canarying",
    "promoting",
}
ROWS = 12000  # of thirty days
# The project as `homeostat init` writes it, hurried up: truths within the hour, windows and holdouts of a day, nobody is asked.
CHANGES = {
    "automation: suggest": "automation: auto",
    "outcome: {delay: 3d}": "outcome: {delay: 1h}",
    "cooldown: 7d": "cooldown: 1d",
    "minimum_rows: 1000": "minimum_rows: 500",
    "window: {use: last, span: 60d}": "window: {use: last, span: 3d}",
    "gate: {holdout: 3d": "gate: {holdout: 1d",
    "metrics: [auc, calibration_error]": "slices: [{feature: service}]\nmetrics: [auc, calibration_error]",
}


def until(look: Callable[[], Any], within_s: float, what: str) -> Any:
    """The first true thing `look` returns; fails with `what` after `within_s` seconds."""
    ends = time.monotonic() + within_s * time_factor()
    while not (found := look()):
        assert time.monotonic() < ends, f"not within {within_s} s: {what}"
        time.sleep(0.2)
    return found


@dataclass(frozen=True)
class Parcel:
    """A row to ask about, when it is asked, and what turned out."""

    event_time: datetime
    features: dict[str, Any]
    outcome: float


class ShortLoop:
    """The stack below `folder`, and what happens on it."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.project = folder / "project"
        self._client = httpx.Client(timeout=bound(30), trust_env=False)

    def start(self) -> None:
        """Start every part on free ports."""
        self.homeostat("up", "--detach", "--free-ports")

    def end(self) -> None:
        """End every part."""
        self._client.close()
        self.homeostat("down")

    def deploy(self) -> None:
        """Make the project and release its first version."""
        self.homeostat("init", str(self.project))
        path = self.project / "loop.yaml"
        text = path.read_text()
        for before, after in CHANGES.items():
            assert before in text, f"the project's loop.yaml has no `{before}` any more"
            text = text.replace(before, after)
        path.write_text(text)
        self._make_data(self.project, seed=1)
        data = (
            f"--train={self.project / 'train.parquet'}",
            f"--holdout={self.project / 'holdout.parquet'}",
        )
        self.homeostat("deploy", str(self.project), *data)

    def run(self, *, first_day: Callable[[], None] = lambda: None) -> None:
        """Ask and tell day after day, until a version that the loop made is served and was judged.

        `first_day` is called after each hour of the first day, when all is well.
        """
        days = self._days()
        for day in range(MAX_DAYS):
            self._live(days[day], turned=day >= SOUND_DAYS, after_hour=first_day if day == 0 else None)
            last_hour = BEGINS + timedelta(days=day, hours=22)
            until(lambda: self._evaluated() >= last_hour, 30, f"day {day} is looked at")  # noqa: B023
            until(lambda: not self._at_work(), 60, "a run ends")
            if any(verdict["generation"] >= 2 for verdict in self.verdicts()):
                return
        raise AssertionError(f"no version of the loop's own after {MAX_DAYS} days: {self.verdicts()[:3]}")

    def verdicts(self) -> list[dict[str, Any]]:
        """The newest verdicts."""
        found: list[dict[str, Any]] = self.get("drift", "/verdicts")["verdicts"]
        return found

    def get(self, part: str, path: str) -> Any:
        """The JSON a part answers."""
        return self._client.get(self.url(part) + path).raise_for_status().json()

    def post(self, part: str, path: str, body: object) -> httpx.Response:
        """A part's answer to a JSON body."""
        return self._client.post(self.url(part) + path, json=body, headers=local_headers(self.home))

    def ports(self) -> dict[str, int]:
        """The port of each part."""
        state = read_state(self.home)
        assert state is not None
        return dict(state.ports)

    def url(self, part: str) -> str:
        """Where a part answers."""
        return f"http://127.0.0.1:{self.ports()[part]}"

    def homeostat(self, *command: str) -> Any:
        """The JSON of a command that must succeed."""
        where = [] if command[0] == "init" else ["--home", str(self.home)]
        done = subprocess.run(
            [sys.executable, "-m", "cli", *command, *where, "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=bound(200),
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def _evaluated(self) -> datetime:
        """Event time up to which every window that can be judged is judged."""
        known = {model["model"]: model["watermark"] for model in self.get("drift", "/status")["models"]}
        return datetime.fromisoformat(known.get(MODEL) or "1970-01-01T00:00:00+00:00")

    def _at_work(self) -> bool:
        waiting = any(model["error"] for model in self.get("drift", "/status")["models"])
        return waiting or any(run["state"] in WORKING for run in self.get("retraining", "/runs")["runs"])

    def _live(
        self, parcels: list[Parcel], *, turned: bool, after_hour: Callable[[], None] | None = None
    ) -> None:
        hours: dict[datetime, list[Parcel]] = {}
        for parcel in parcels:
            hours.setdefault(parcel.event_time.replace(minute=0, second=0, microsecond=0), []).append(parcel)
        for hour, asked in hours.items():
            body = {
                "model": MODEL,
                "event_time": hour.isoformat(),
                "rows": [parcel.features for parcel in asked],
            }
            answer = self.post("inference", "/predict", body).raise_for_status().json()
            outcomes = [
                {
                    "prediction_id": prediction["prediction_id"],
                    "value": 1 - parcel.outcome if turned else parcel.outcome,
                    "observed_at": (hour + timedelta(minutes=50)).isoformat(),
                }
                for prediction, parcel in zip(answer["predictions"], asked, strict=True)
            ]
            self.post("inference", "/outcomes", {"outcomes": outcomes}).raise_for_status()
            if after_hour is not None:
                after_hour()

    def _days(self) -> list[list[Parcel]]:
        folder = self.home.parent / "served"
        folder.mkdir()
        self._make_data(folder, seed=2)
        rows = [
            row
            for name in ("train", "holdout")
            for row in pq.read_table(folder / f"{name}.parquet").to_pylist()
        ]
        first = min(row["event_time"] for row in rows).replace(hour=0, minute=0, second=0, microsecond=0)
        days: list[list[Parcel]] = [[] for _ in range(31)]
        for row in rows:
            moment = BEGINS + (row.pop("event_time") - first)
            outcome = row.pop("outcome")
            days[(moment - BEGINS).days].append(Parcel(moment, row, outcome))
        return days

    def _make_data(self, folder: Path, *, seed: int) -> None:
        command = [sys.executable, str(self.project / "make_data.py"), f"--seed={seed}", f"--rows={ROWS}"]
        subprocess.run(command, cwd=folder, check=True, timeout=bound(60), capture_output=True)
