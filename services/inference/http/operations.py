"""Routes for people, probes and Prometheus: `/health/live`, `/health/ready`, `/metrics`, `/status`."""

from __future__ import annotations

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from services.inference.http.request import Request
from services.inference.http.response import Answer, json_answer
from services.inference.metrics import InferenceMetrics
from services.inference.status.page import draw_status
from services.inference.status.page_frame import CONTENT_SECURITY_POLICY
from services.inference.status.report import Status
from shared.http import health

_HTML = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class OperationsDoor:
    """Answers the operational routes."""

    def __init__(self, status: Status, metrics: InferenceMetrics) -> None:
        self._status = status
        self._metrics = metrics

    async def live(self, request: Request) -> Answer:
        """The process is running."""
        return json_answer(health.live())

    async def ready(self, request: Request) -> Answer:
        """200 if at least one model is loaded, 503 if not."""
        return json_answer(*health.ready(self._status.ready()))

    async def metrics(self, request: Request) -> Answer:
        """Prometheus text."""
        return Answer(
            200,
            generate_latest(self._metrics.registry),
            ((b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode()),),
        )

    async def status(self, request: Request) -> Answer:
        """A page, or JSON where the caller asks for it."""
        report = self._status.report()
        if request.path.endswith(".json") or b"application/json" in request.header(b"accept"):
            return json_answer(report)
        return Answer(200, draw_status(report).encode(), _HTML)

    async def home(self, request: Request) -> Answer:
        """People who open the bare address want the status page."""
        return Answer(307, b"", ((b"location", b"/status"),))
