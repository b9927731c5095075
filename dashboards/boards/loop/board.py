"""The loop on one page, in the order in which data travels: from what is asked to what the loop was worth."""

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
        "What comes in, what is written down, what drift says about it, what was decided and released, "
        "and what that was worth. Read it from the top; each row leads to the board of its service.",
        [
            Row(
                "Traffic: what is asked",
                7,
                [
                    (4, requests.last_prediction()),
                    (9, requests.requests()),
                    (8, duration.answer()),
                    (3, firing_alerts.count()),
                ],
                more=("homeostat-inference", "Inference"),
            ),
            Row(
                "Log: what is written down",
                7,
                [(4, throughput.newest()), (7, lag.age()), (6, lag.lag()), (7, lag.fresh())],
                more=("homeostat-prediction-log", "Prediction log"),
            ),
            Row(
                "Evidence: what drift measures and concludes",
                7,
                [(10, scores.ratio()), (7, label_coverage.loss()), (7, verdicts.state())],
                more=("homeostat-drift", "Drift"),
            ),
            Row(
                "Decisions: what is done about it",
                7,
                [(9, decisions.verbs_and_reasons()), (8, runs.ended()), (7, gate.gain())],
                more=("homeostat-retraining", "Retraining"),
            ),
            Row(
                "Releases: what is served",
                7,
                [(15, releases.generation()), (9, releases.version())],
                more=("homeostat-inference", "Inference"),
            ),
            Row(
                "Worth: what the loop gained",
                7,
                [(18, gate.worth()), (6, gate.saved())],
                more=("homeostat-retraining", "Retraining"),
            ),
        ],
    )
