"""The loop on one page, in the order of the data flow: traffic, log, drift, decisions, releases, benefit."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.boards.drift import label_coverage, scores, verdicts
from dashboards.boards.inference import duration, releases, requests
from dashboards.boards.loop import firing_alerts
from dashboards.boards.prediction_log import lag, throughput
from dashboards.boards.retraining import decisions, gate, runs
from dashboards.parts.layout import Row, board

UID = "homeostat-loop"


def make() -> dashboard.Dashboard:
    """The board."""
    return board(
        UID,
        "Homeostat: the loop",
        "Traffic, prediction log, drift, decisions, releases, and the benefit of retraining, in the order of the data flow. "
        "Each row links to the board of its service.",
        [
            Row(
                "Traffic",
                7,
                [
                    (4, requests.last_prediction()),
                    (9, requests.requests()),
                    (8, duration.response_time()),
                    (3, firing_alerts.count()),
                ],
                more=("homeostat-inference", "Inference"),
            ),
            Row(
                "Prediction log",
                7,
                [
                    (4, throughput.newest_row()),
                    (7, lag.oldest_row()),
                    (6, lag.sink_lag()),
                    (7, lag.log_latency()),
                ],
                more=("homeostat-prediction-log", "Prediction log"),
            ),
            Row(
                "Drift",
                7,
                [(10, scores.ratio()), (7, label_coverage.loss()), (7, verdicts.state())],
                more=("homeostat-drift", "Drift"),
            ),
            Row(
                "Decisions",
                7,
                [(9, decisions.by_action_and_reason()), (8, runs.finished()), (7, gate.gain())],
                more=("homeostat-retraining", "Retraining"),
            ),
            Row(
                "Releases",
                7,
                [(15, releases.generation()), (9, releases.version())],
                more=("homeostat-inference", "Inference"),
            ),
            Row(
                "Benefit of retraining",
                7,
                [(18, gate.baseline_and_served_loss()), (6, gate.loss_reduction())],
                more=("homeostat-retraining", "Retraining"),
            ),
        ],
    )
