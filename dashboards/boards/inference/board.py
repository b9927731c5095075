"""The inference board: rate, errors, duration, saturation, spool, releases, canary and shadow, models on demand, hardware."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.boards.inference import (
    device,
    duration,
    on_demand,
    releases,
    requests,
    saturation,
    slots,
    spool,
)
from dashboards.parts.layout import Row, board
from dashboards.parts.objective import AVAILABILITY, LATENCY, burn
from dashboards.parts.scrape_status import scraped

UID = "homeostat-inference"


def make() -> dashboard.Dashboard:
    """The board."""
    return board(
        UID,
        "Homeostat: inference",
        "The server on port 8000: request rate, errors, duration, saturation, and which release it serves.",
        [
            Row(
                "Service level objectives",
                7,
                [
                    (9, burn(AVAILABILITY)),
                    (9, burn(LATENCY)),
                    (
                        6,
                        scraped("server", 'max by (instance) (up{job="inference"})', "{{instance}}"),
                    ),
                ],
            ),
            Row(
                "Rate and errors",
                7,
                [
                    (6, requests.requests()),
                    (6, requests.rows()),
                    (6, requests.errors()),
                    (6, requests.outcomes()),
                ],
            ),
            Row(
                "Duration",
                7,
                [
                    (6, duration.response_time()),
                    (6, duration.response_time_by_version()),
                    (6, duration.model_call()),
                    (6, duration.request_size()),
                ],
            ),
            Row(
                "Saturation",
                6,
                [(8, saturation.in_flight()), (8, saturation.queued_calls()), (8, saturation.queue_time())],
            ),
            Row("Spool", 6, [(8, spool.full()), (8, spool.written()), (8, spool.dropped())]),
            Row(
                "Releases",
                6,
                [
                    (7, releases.generation()),
                    (3, releases.failed()),
                    (5, releases.swaps()),
                    (3, releases.duration()),
                    (3, releases.versions_in_memory()),
                    (3, releases.log_last_read()),
                ],
            ),
            Row(
                "Canary and shadow",
                6,
                [(8, slots.requests()), (6, slots.duration()), (5, slots.share()), (5, slots.difference())],
            ),
            Row(
                "Models on demand",
                6,
                [
                    (6, on_demand.models()),
                    (6, on_demand.memory()),
                    (6, on_demand.loads()),
                    (6, on_demand.waiting()),
                ],
            ),
            Row("Hardware", 6, [(8, device.device()), (8, device.busy()), (8, device.memory())]),
        ],
    )
