"""Results of the year: scores of the first version, monthly table, drift reports of the alarms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import onnxruntime
import pandas as pd
from rich.table import Table
from sklearn.metrics import roc_auc_score

from examples.loop.poller import LoopView
from shared.models import losses

Floats = npt.NDArray[np.float64]
_TYPES: dict[str, Any] = {"tensor(string)": object, "tensor(int64)": "int64", "tensor(float)": "float32"}


def shadow_scores(model: Path, rows: pd.DataFrame) -> Floats:
    """What the model would have answered for the rows."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    feed = {wanted.name: rows[wanted.name].to_numpy(_TYPES[wanted.type]) for wanted in session.get_inputs()}
    return np.asarray(session.run(["score"], feed)[0], dtype=np.float64)


def row_losses(outcome: Floats, score: Floats) -> Floats:
    """Log-loss of each row, in nats."""
    return losses.row_losses("log_loss", score, outcome)


def monthly(rows: pd.DataFrame, first: Floats, served: Floats) -> pd.DataFrame:
    """Per month: flights, and log-loss and AUC of both on the same rows with outcome."""
    frame = pd.DataFrame(
        {
            "month": rows.event_time.dt.strftime("%Y-%m"),
            "outcome": rows.outcome,
            "first": first,
            "served": served,
        }
    ).dropna()
    found = []
    for month, part in frame.groupby("month"):
        outcome = part.outcome.to_numpy()
        row: dict[str, Any] = {"month": month, "flights": len(part)}
        for name in ("first", "served"):
            row[f"{name}_log_loss"] = float(row_losses(outcome, part[name].to_numpy()).mean())
            both = len(np.unique(outcome)) > 1
            row[f"{name}_auc"] = float(roc_auc_score(outcome, part[name])) if both else float("nan")
        found.append(row)
    return pd.DataFrame(found)


def monthly_table(months: pd.DataFrame) -> Table:
    """The table for a person."""
    table = Table("month", "flights", "log-loss first", "served", "AUC first", "served")
    for row in months.to_dict("records"):
        numbers = [
            f"{row[name]:.3f}" for name in ("first_log_loss", "served_log_loss", "first_auc", "served_auc")
        ]
        table.add_row(row["month"], str(row["flights"]), *numbers)
    return table


def draw_reports(drift: str, view: LoopView) -> int:
    """Have the report of every alarm drawn: bad data, performance drift, or a verdict that led to a run. How many."""
    led_to_runs = {run["cause_key"] for run in view.runs}
    alarms = [
        verdict["verdict_id"]
        for verdict in view.verdicts
        if verdict["state"] == "data_fault"
        or "performance" in verdict["drifted"]
        or verdict["verdict_id"] in led_to_runs
    ]
    with httpx.Client(base_url=drift, timeout=60.0, trust_env=False) as client:
        return sum(client.get(f"/reports/{alarm}").status_code == 200 for alarm in alarms)
