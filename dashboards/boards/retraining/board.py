"""Retraining: what was decided, how runs went, what the gate said, what waits for a person, and whether somebody drives."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.boards.retraining import approvals, decisions, gate, leadership, runs
from dashboards.parts.layout import Row, board
from dashboards.parts.scrape_status import scraped

UID = "homeostat-retraining"


def make() -> dashboard.Dashboard:
    """The board."""
    return board(
        UID,
        "Homeostat: retraining",
        "From causes to releases: decisions with their reasons, runs, the gate, what waits for a person, "
        "and the service itself.",
        [
            Row(
                "People and releases",
                6,
                [
                    (4, approvals.waiting()),
                    (4, approvals.unseen()),
                    (3, approvals.opened()),
                    (3, approvals.age()),
                    (4, approvals.release()),
                    (6, approvals.releases()),
                ],
            ),
            Row(
                "Decisions",
                7,
                [
                    (6, decisions.verbs()),
                    (8, decisions.reasons()),
                    (5, decisions.repeats()),
                    (5, decisions.heard()),
                ],
            ),
            Row(
                "Runs", 7, [(6, runs.ended()), (6, runs.duration()), (6, runs.steps()), (6, runs.failures())]
            ),
            Row("Gate and worth", 7, [(9, gate.gain()), (4, gate.margin()), (11, gate.worth())]),
            Row(
                "The service",
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
                    (3, leadership.mirror()),
                    (4, leadership.generation()),
                    (5, leadership.annotations_sent()),
                ],
            ),
        ],
    )
