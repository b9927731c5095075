"""A small model on the real stack, hour by hour: a sound window, then the world turns, and the loop retrains it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.e2e.short_loop import WORKING, ShortLoop

BEGINS = datetime(2026, 2, 1, tzinfo=UTC)
WINDOW = timedelta(hours=6)
ROWS_AN_HOUR = 40
Row = dict[str, Any]
# The rest of every model's loop.yaml: windows of six hours, and nobody is asked.
POLICY = """
outcome: {delay: 10m}
metric: {name: METRIC}
drift: {window: {every: 6h, minimum_rows: 100}}
retraining:
  command: [python, train.py]
  triggers:
    - {when: drift, kinds: [performance], windows: 2}
  cooldown: 12h
  window: {use: last, span: 6h}
  minimum_rows: 100
gate: {holdout: 5h, minimum_rows: 100, maximum_latency_ratio: 20}
automation: auto
"""


def _joined(judged: dict[str, dict[str, Any]]) -> dict[str, Any]:
    inputs = judged["inputs"]
    performance = judged.get("performance", inputs)
    if performance is inputs:
        return inputs
    return {
        **performance,
        "state": performance["state"] if inputs["state"] == "ok" else inputs["state"],
        "scores": [*inputs["scores"], *performance["scores"]],
        "drifted": [*inputs["drifted"], *performance["drifted"]],
        "top_drifted_features": inputs["top_drifted_features"],
    }


class HourlyLoop(ShortLoop):
    """One model on the stack below `folder`, which several may share. A subclass has the model's project and makes its rows."""

    model: str
    spec: str
    trainer: str
    metric = "log_loss"
    detectors = 2  # inputs and performance

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.project = folder / self.model
        self.random = np.random.default_rng(11)
        self.last: dict[str, Any] = {}
        self.event_times: list[datetime] = []  # of the rows that are asked for

    def rows(self, count: int, *, turned: bool) -> tuple[list[Row], list[Any]]:
        """Features of `count` rows, and their outcomes."""
        raise NotImplementedError

    def deploy(self) -> None:
        """Write the project, train it on two days of rows and release it."""
        self.project.mkdir(parents=True)
        (self.project / "loop.yaml").write_text(self.spec + POLICY.replace("METRIC", self.metric))
        (self.project / "train.py").write_text(self.trainer)
        for name, hours, rows in (("train", -96, 1500), ("holdout", -24, 700)):
            self._write_rows(self.project / f"{name}.parquet", BEGINS + timedelta(hours=hours), rows)
        self.homeostat(
            "deploy",
            str(self.project),
            "--no-import",
            *(f"--{n}={self.project / n}.parquet" for n in ("train", "holdout")),
        )

    def live(self, first: int, windows: int, *, turned: bool) -> None:
        """Predict and report outcomes, hour by hour."""
        hours = int(WINDOW / timedelta(hours=1))
        for hour in range(first * hours, (first + windows) * hours):
            moment = BEGINS + timedelta(hours=hour)
            self.event_times = [moment] * ROWS_AN_HOUR
            rows, outcomes = self.rows(ROWS_AN_HOUR, turned=turned)
            body = {"model": self.model, "event_time": moment.isoformat(), "rows": list(map(_as_sent, rows))}
            self.last = self.post("inference", "/predict", body).raise_for_status().json()
            reported = [
                {
                    "prediction_id": prediction["prediction_id"],
                    "value": outcome,
                    "observed_at": (moment + timedelta(minutes=5)).isoformat(),
                }
                for prediction, outcome in zip(self.last["predictions"], outcomes, strict=True)
            ]
            self.post("inference", "/outcomes", {"outcomes": reported}).raise_for_status()

    def verdicts_of(self, generation: int) -> list[dict[str, Any]]:
        """A verdict for each window with rows of a generation that every detector has judged, the oldest first.

        It is that on performance, if there is one, with the scores and the drift of the inputs added.
        """
        windows: dict[str, dict[str, dict[str, Any]]] = {}
        for one in reversed(self.get("drift", f"/verdicts?model={self.model}")["verdicts"]):
            scheduled = one["detector"] in ("inputs", "performance")
            if one["generation"] == generation and one["rows"] and scheduled:
                windows.setdefault(one["window_end"], {})[one["detector"]] = one
        return [_joined(windows[end]) for end in sorted(windows) if len(windows[end]) == self.detectors]

    def decision_on(self, cause_key: str) -> dict[str, Any] | None:
        """The decision on a verdict, once it is made."""
        found: list[dict[str, Any]] = self.get("retraining", f"/decisions?model={self.model}")["decisions"]
        return next((one for one in found if one["cause_key"] == cause_key), None)

    def ended_run(self) -> dict[str, Any] | None:
        """The model's newest run, once it has ended."""
        runs: list[dict[str, Any]] = self.get("retraining", f"/runs?model={self.model}")["runs"]
        return runs[0] if runs and runs[0]["state"] not in WORKING else None

    def serves(self, generation: int) -> bool:
        """Whether inference serves that generation."""
        models = self.get("inference", "/status.json")["models"]
        return any(one["name"] == self.model and one["generation"] == generation for one in models)

    def comparison(self, verdict: dict[str, Any]) -> dict[str, Any] | None:
        """Losses of the first and the served version in the verdict's window, once they are compared."""
        models: list[dict[str, Any]] = self.get("retraining", "/status")["models"]
        found = next(one for one in models if self.model in (one.get("name"), one.get("model")))
        window = found["window"]
        same = window and datetime.fromisoformat(window["start"]) == datetime.fromisoformat(
            verdict["window_start"]
        )
        return found if same else None

    def _write_rows(self, path: Path, begins: datetime, count: int) -> None:
        times = self.event_times = [begins + timedelta(minutes=2 * row) for row in range(count)]
        rows, outcomes = self.rows(count, turned=False)
        table = pa.Table.from_pylist(rows)
        table = table.append_column("event_time", pa.array(times, pa.timestamp("us", "UTC")))
        pq.write_table(table.append_column("outcome", pa.array(outcomes)), path)


def _as_sent(row: Row) -> Row:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
