"""The prediction log board: lag, throughput, missing rows, retries."""

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
        "From the spool through Kafka to the lake: lag, throughput, and missing rows.",
        [
            Row(
                "Service level objectives",
                7,
                [
                    (10, burn(LOG_FRESHNESS)),
                    (7, lag.kafka_connection()),
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
                "Lag and freshness",
                7,
                [(6, lag.oldest_row()), (6, lag.backlog()), (6, lag.sink_lag()), (6, lag.log_latency())],
            ),
            Row(
                "Throughput",
                7,
                [
                    (3, throughput.last_delivery()),
                    (3, throughput.newest_row()),
                    (5, throughput.shipped()),
                    (5, throughput.written()),
                    (4, throughput.records()),
                    (4, throughput.commit()),
                ],
            ),
            Row(
                "Missing rows",
                6,
                [
                    (5, missing_rows.missing()),
                    (4, missing_rows.dropped()),
                    (5, missing_rows.dead_letters()),
                    (5, missing_rows.far_off()),
                    (5, missing_rows.skipped()),
                ],
            ),
            Row(
                "Retries and conflicts",
                6,
                [
                    (8, retries.failures()),
                    (6, retries.duplicates()),
                    (6, retries.conflicts()),
                    (4, retries.spool_folders()),
                ],
            ),
        ],
    )
