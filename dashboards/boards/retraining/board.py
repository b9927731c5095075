"""The retraining board: approvals, decisions, runs, gate, policies, watched release, leader."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.boards.retraining import approvals, decisions, gate, leadership, policies, runs, watch
from dashboards.parts.layout import Row, board
from dashboards.parts.scrape_status import scraped

UID = "homeostat-retraining"


def make() -> dashboard.Dashboard:
    """The board."""
    return board(
        UID,
        "Homeostat: retraining",
        "Approvals, decisions with their reasons, runs, gate results, and the state of the service.",
        [
            Row(
                "Approvals and releases",
                6,
                [
                    (4, approvals.awaiting_approval()),
                    (4, approvals.unacknowledged()),
                    (3, approvals.open_runs()),
                    (3, approvals.oldest_active_run()),
                    (4, approvals.last_release()),
                    (6, approvals.releases()),
                ],
            ),
            Row(
                "Decisions",
                7,
                [
                    (6, decisions.by_action()),
                    (8, decisions.by_reason()),
                    (5, decisions.repeated_causes()),
                    (5, decisions.verdicts_received()),
                ],
            ),
            Row(
                "Runs",
                7,
                [(6, runs.finished()), (6, runs.duration()), (6, runs.steps()), (6, runs.failures())],
            ),
            Row(
                "Gate and benefit",
                7,
                [
                    (8, gate.gain()),
                    (4, gate.margin()),
                    (8, gate.baseline_and_served_loss()),
                    (4, gate.known_version_evidence()),
                ],
            ),
            Row("Policies", 6, [(14, policies.regret()), (10, policies.runs())]),
            Row("Watched release", 6, [(13, watch.losses()), (6, watch.evidence()), (5, watch.rows())]),
            Row(
                "Challenger before its promotion",
                6,
                [(14, watch.phase_evidence()), (10, watch.phase_running())],
            ),
            Row(
                "Process",
                6,
                [
                    (
                        4,
                        scraped(
                            "retraining service", 'max by (instance) (up{job="retraining"})', "{{instance}}"
                        ),
                    ),
                    (4, leadership.leader()),
                    (4, leadership.listener()),
                    (3, leadership.mlflow_backlog()),
                    (4, leadership.generation()),
                    (5, leadership.annotations_sent()),
                ],
            ),
        ],
    )
