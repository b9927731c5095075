"""The drift board: verdicts, scores, label coverage, timeliness."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.boards.drift import (
    evaluations,
    label_coverage,
    performance_metrics,
    progress,
    scores,
    stream,
    verdicts,
)
from dashboards.parts.layout import Row, board
from dashboards.parts.objective import VERDICT_FRESHNESS, burn
from dashboards.parts.scrape_status import scraped

UID = "homeostat-drift"


def make() -> dashboard.Dashboard:
    """The board."""
    return board(
        UID,
        "Homeostat: drift",
        "Drift scores and thresholds, verdicts, label coverage, and whether evaluations are on time.",
        [
            Row(
                "Verdicts",
                7,
                [
                    (8, verdicts.state()),
                    (6, verdicts.counts()),
                    (4, verdicts.revisions()),
                    (6, verdicts.last()),
                ],
            ),
            Row(
                "Scores",
                8,
                [
                    (8, scores.ratio()),
                    (6, scores.last_window()),
                    (5, scores.score()),
                    (5, scores.threshold()),
                ],
            ),
            Row(
                "Stream detection, between windows",
                8,
                [(9, stream.evidence()), (8, stream.faulty_values()), (7, stream.conclusions())],
            ),
            Row(
                "Stream detection: false alarms and timeliness",
                7,
                [
                    (5, stream.false_alarms()),
                    (6, stream.freshness()),
                    (6, stream.lag()),
                    (7, stream.records()),
                ],
            ),
            Row(
                "Label coverage and performance",
                7,
                [
                    (7, label_coverage.loss()),
                    (4, label_coverage.coverage()),
                    (4, label_coverage.rows()),
                    (4, label_coverage.lag()),
                    (5, label_coverage.faults()),
                ],
            ),
            Row(
                "Metrics and slices",
                7,
                [
                    (8, performance_metrics.metrics()),
                    (8, performance_metrics.slice_metrics()),
                    (8, performance_metrics.slices()),
                ],
            ),
            Row(
                "Timeliness",
                7,
                [
                    (7, burn(VERDICT_FRESHNESS)),
                    (4, progress.last()),
                    (4, progress.last_full_poll()),
                    (5, progress.not_evaluated()),
                    (4, progress.delay()),
                ],
            ),
            Row(
                "Process",
                6,
                [
                    (
                        5,
                        scraped("drift service", 'max by (instance) (up{job="drift"})', "{{instance}}"),
                    ),
                    (4, evaluations.duration()),
                    (5, evaluations.failures()),
                    (4, evaluations.unpublished()),
                    (6, evaluations.annotations_sent()),
                ],
            ),
        ],
    )
