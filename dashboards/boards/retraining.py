"""Retraining: what was decided, how runs went, what the gate said, what waits for a person, and whether somebody drives."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.panels import decisions, driver, gate, people, processes, runs
from dashboards.parts.layout import Row, board

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
                    (4, people.waiting()),
                    (4, people.unseen()),
                    (3, people.opened()),
                    (3, people.age()),
                    (4, people.release()),
                    (6, people.releases()),
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
                        processes.answering(
                            "retraining service", 'max by (instance) (up{job="retraining"})', "{{instance}}"
                        ),
                    ),
                    (4, driver.leader()),
                    (4, driver.listener()),
                    (3, driver.mirror()),
                    (4, driver.generation()),
                    (5, driver.annotations_sent()),
                ],
            ),
        ],
    )
