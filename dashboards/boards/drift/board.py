"""Drift: what the last windows looked like, what was concluded, whether it can see at all, and whether it is on time."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.boards.drift import evaluations, label_coverage, progress, scores, verdicts
from dashboards.parts.layout import Row, board
from dashboards.parts.objective import VERDICT_FRESHNESS, burn
from dashboards.parts.scrape_status import scraped

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
                    (8, scores.ratio()),
                    (6, scores.now()),
                    (5, scores.score()),
                    (5, scores.threshold()),
                ],
            ),
            Row(
                "Can it see",
                7,
                [
                    (9, label_coverage.loss()),
                    (5, label_coverage.coverage()),
                    (5, label_coverage.rows()),
                    (5, label_coverage.lag()),
                ],
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
                        scraped("drift service", 'max by (instance) (up{job="drift"})', "{{instance}}"),
                    ),
                    (4, evaluations.examination()),
                    (5, evaluations.failures()),
                    (4, evaluations.unpublished()),
                    (6, evaluations.annotations_sent()),
                ],
            ),
        ],
    )
