"""The entry point: `bentoml serve services.inference.service:InferenceService --port 8000`.

BentoML starts and supervises the process, owns the socket, and describes the methods in `/schema.json` and `/docs.json`. Our
application answers in front of its middleware, which costs ten times as much as a small model's prediction. With
`HOMEOSTAT_INFERENCE_FAST_PATH=false` BentoML's own path calls the methods below, which have the same handlers.
"""

from __future__ import annotations

import os

# Before BentoML is imported: it reads this once.
os.environ.update(BENTOML_DO_NOT_TRACK="True", DO_NOT_TRACK="1")
# Before numpy is: the event loop asks for sums of some thousand numbers, and would wait for other threads longer than they take.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import bentoml
from starlette.responses import Response

from services.inference.bento.control_sockets import keep_control_private
from services.inference.bento.schemas import (
    OutcomesRequest,
    OutcomesResponse,
    PredictRequest,
    PredictResponse,
    ScoreFileRequest,
    ScoreFileResponse,
)
from services.inference.bento.unread_request import UnreadRequest
from services.inference.bentoml_adapter import AdaptedService
from services.inference.settings import InferenceSettings

_settings = InferenceSettings()


@bentoml.service(
    name="homeostat-inference",
    service_class=AdaptedService,
    workers=_settings.workers,
    http={"host": _settings.host, "port": _settings.port},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    tracing={"excluded_urls": ".*"},
    endpoints={"livez": "/health/live", "readyz": "/health/ready"},
)
class InferenceService:
    """Serves predictions; `/status` lists the live models."""

    bento_service: AdaptedService

    @bentoml.on_deployment  # type: ignore[untyped-decorator]  # in the supervisor, before it makes its sockets
    def keep_control_private() -> None:
        """Nobody else on the machine can control the supervisor."""
        keep_control_private()

    @bentoml.api(input_spec=PredictRequest, output_spec=PredictResponse)  # type: ignore[untyped-decorator]
    async def predict(self, request: UnreadRequest) -> Response:
        """Predict rows, log the predictions, and answer with an id per row."""
        return await self.bento_service.respond(request)

    @bentoml.api(input_spec=OutcomesRequest, output_spec=OutcomesResponse)  # type: ignore[untyped-decorator]
    async def outcomes(self, request: UnreadRequest) -> Response:
        """Log the outcomes (ground truth) of predictions: all or none."""
        return await self.bento_service.respond(request)

    @bentoml.task(input_spec=ScoreFileRequest, output_spec=ScoreFileResponse)  # type: ignore[untyped-decorator]
    async def score_file(self, request: UnreadRequest) -> Response:
        """Score a Parquet file and log the predictions; `submit` does it in the background, with progress and cancel."""
        return await self.bento_service.score_file(request)
