"""Drift: what the last windows looked like, what was concluded, whether it can see at all, and whether it is on time."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.panels import evidence, examinations, processes, progress, sight, verdicts
from dashboards.parts.layout import Row, board
from dashboards.parts.objective import VERDICT_FRESHNESS, burn

UID = "homeostat-drift"


def make() -> dashboard.Dashboard:
    """The board."""
    return board(
        UID,
        "Homeostat: drift",
        "What drift measured, against what threshold, what it concluded, and whether it sees enough and in time.",
        [
            Row("Verdicts", 7, [(8, verdicts.state()), (8, verdicts.counts()), (8, verdicts.last())]),
            Row(
                "Evidence",
                8,
                [
                    (8, evidence.ratio()),
                    (6, evidence.now()),
                    (5, evidence.score()),
                    (5, evidence.threshold()),
                ],
            ),
            Row(
                "Can it see",
                7,
                [(9, sight.loss()), (5, sight.coverage()), (5, sight.rows()), (5, sight.lag())],
            ),
            Row(
                "Is it on time",
                7,
                [
                    (7, burn(VERDICT_FRESHNESS)),
                    (4, progress.last()),
                    (4, progress.through()),
                    (5, progress.behind()),
                    (4, progress.delay()),
                ],
            ),
            Row(
                "Work",
                6,
                [
                    (
                        5,
                        processes.answering(
                            "drift service", 'max by (instance) (up{job="drift"})', "{{instance}}"
                        ),
                    ),
                    (4, examinations.examination()),
                    (5, examinations.failures()),
                    (4, examinations.unpublished()),
                    (6, examinations.annotations_sent()),
                ],
            ),
        ],
    )
