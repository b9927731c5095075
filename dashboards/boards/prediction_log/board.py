"""The prediction log: how far shipper and sink are behind, what they carry, and whether a row is missing."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.boards.prediction_log import lag, missing_rows, retries, throughput
from dashboards.parts.layout import Row, board
from dashboards.parts.objective import LOG_FRESHNESS, burn
from dashboards.parts.scrape_status import scraped

UID = "homeostat-prediction-log"


def make() -> dashboard.Dashboard:
    """The board."""
    return board(
        UID,
        "Homeostat: prediction log",
        "From the spool through Kafka into the lake: how late, how much, and whether anything is missing.",
        [
            Row(
                "Promises",
                7,
                [
                    (10, burn(LOG_FRESHNESS)),
                    (7, lag.kafka()),
                    (
                        7,
                        scraped(
                            "shipper and sink",
                            'max by (job, instance) (up{job=~"shipper|sink"})',
                            "{{job}} {{instance}}",
                        ),
                    ),
                ],
            ),
            Row(
                "Lag and freshness", 7, [(6, lag.age()), (6, lag.backlog()), (6, lag.lag()), (6, lag.fresh())]
            ),
            Row(
                "What is carried",
                7,
                [
                    (3, throughput.delivered()),
                    (3, throughput.newest()),
                    (5, throughput.shipped()),
                    (5, throughput.written()),
                    (4, throughput.records()),
                    (4, throughput.commit()),
                ],
            ),
            Row(
                "Is anything missing",
                6,
                [
                    (6, missing_rows.missing()),
                    (6, missing_rows.dropped()),
                    (6, missing_rows.letters()),
                    (6, missing_rows.skipped()),
                ],
            ),
            Row(
                "Troubles",
                6,
                [
                    (8, retries.failures()),
                    (6, retries.repeated()),
                    (6, retries.conflicts()),
                    (4, retries.writers()),
                ],
            ),
        ],
    )
