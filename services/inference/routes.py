"""The routes of the server and the handlers behind them. `bootstrap` chooses the implementations, tests pass fakes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from services.inference.draining_server import Drain
from services.inference.fast_path.admission import Admission
from services.inference.fast_path.hot_requests import HotRequests
from services.inference.http.app import Find, Handler, InferenceApp
from services.inference.http.body import BodyReader
from services.inference.http.operations import OperationsHandler
from services.inference.http.outcomes import OutcomesHandler
from services.inference.http.predict import PredictHandler
from services.inference.metrics import InferenceMetrics
from services.inference.mlflow_scoring.handlers import MlflowHandler
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.on_demand.metrics import OnDemandMetrics
from services.inference.on_demand.model_pool import ModelPool
from services.inference.open_inference.handlers import OpenInferenceHandler
from services.inference.prediction.predictor import Predictor
from services.inference.prediction.recorder import Recorder
from services.inference.rollout.canary import CanaryAnswers
from services.inference.settings import InferenceSettings
from services.inference.status.report import Status
from services.inference.tasks.handlers import TaskHandlers
from services.inference.tasks.metrics import TaskMetrics
from services.inference.tasks.runner import TaskRunner
from services.inference.tasks.scorer import FileScorer
from services.inference.tasks.store import TaskStore
from services.inference.tasks.upload import UploadReader
from services.inference.tracing.request_trace import Tracing
from services.inference.workers.peers import Alone, Peers
from shared.access.authenticator import Authenticator
from shared.contracts.prediction_id import PredictionIds
from shared.contracts.release import Release
from shared.http.open_files import raise_file_limit


def assemble(
    settings: InferenceSettings,
    pool: ModelPool,
    recorder: Recorder,
    predictor: Predictor,
    canaries: CanaryAnswers,
    ids: PredictionIds,
    metrics: InferenceMetrics,
    status: Status,
    *,
    known_models: Callable[[], Collection[str]],
    peers: Peers | None = None,
    tracing: Tracing | None = None,
    drain: Drain | None = None,
) -> InferenceApp:
    """The application with its handlers. `peers`: None for a server of one process. `drain`: the end of its process."""
    predict = PredictHandler(pool, predictor, canaries, metrics, maximum_rows=settings.maximum_rows)
    outcomes = OutcomesHandler(
        pool, recorder, ids, metrics, maximum_outcomes=settings.maximum_rows, known_models=known_models
    )
    oip = OpenInferenceHandler(pool, predictor, canaries, metrics, status, maximum_rows=settings.maximum_rows)
    mlflow = MlflowHandler(pool, predictor, canaries, metrics, status, maximum_rows=settings.maximum_rows)
    operations = OperationsHandler(status, peers or Alone(metrics.registry, lambda: status.of_this_process()))
    return InferenceApp(
        {
            ("POST", "/predict"): predict.post,
            ("POST", "/outcomes"): outcomes.post,
            ("POST", "/invocations"): mlflow.invocations,
            ("GET", "/ping"): mlflow.ping,
            ("GET", "/health"): mlflow.ping,
            ("GET", "/version"): mlflow.version,
            ("GET", "/"): operations.home,
            ("GET", "/health/live"): operations.live,
            ("GET", "/health/ready"): operations.ready,
            ("GET", "/livez"): operations.live,
            ("GET", "/healthz"): operations.live,
            ("GET", "/readyz"): operations.ready,
            ("GET", "/metrics"): operations.metrics,
            ("GET", "/status"): operations.status,
            ("GET", "/status.json"): operations.status,
        },
        _first(oip.find, mlflow.find),
        BodyReader(
            maximum_bytes=settings.maximum_body_bytes,
            maximum_buffered_bytes=settings.maximum_buffered_bytes,
            receive_seconds=settings.receive_seconds,
        ),
        metrics,
        maximum_in_flight=settings.maximum_in_flight,
        waiting=lambda: predictor.queue.waiting,
        tracing=tracing,
        is_ending=lambda: drain is not None and drain.begun,
    )


def assemble_tasks(
    settings: InferenceSettings,
    root: Path,
    pool: ModelPool,
    predictor: Predictor,
    metrics: InferenceMetrics,
) -> tuple[TaskHandlers, TaskRunner]:
    """The handlers of batch tasks and what runs them."""
    store = TaskStore(root, kept_seconds=3600 * settings.task_hours, maximum_tasks=settings.maximum_tasks)
    scorer = FileScorer(pool, predictor, metrics, inline_seconds=settings.inline_seconds)
    runner = TaskRunner(store, scorer, TaskMetrics(metrics.registry), maximum_rows=settings.maximum_file_rows)
    uploads = UploadReader(
        maximum_bytes=settings.maximum_file_bytes, receive_seconds=settings.receive_seconds
    )
    return TaskHandlers(store, runner, scorer, uploads, metrics), runner


def make_pool(
    settings: InferenceSettings,
    slots: Slots[Servable],
    load: Callable[[Release], Servable],
    metrics: OnDemandMetrics,
) -> ModelPool:
    """The models as requests see them."""
    return ModelPool(
        slots,
        load,
        metrics,
        wait_seconds=settings.load_seconds,
        # The others are for requests to models that are loaded.
        maximum_waiting=max(1, settings.maximum_in_flight // 2),
    )


def make_fast_path(
    settings: InferenceSettings,
    slots: Slots[Servable],
    predictor: Predictor,
    metrics: InferenceMetrics,
    tracing: Tracing | None = None,
    *,
    authenticator: Authenticator,
) -> HotRequests:
    """The fast path with the limits and the callers of the ordinary one."""
    return HotRequests(
        slots,
        predictor,
        metrics,
        Admission(authenticator),
        maximum_rows=settings.maximum_rows,
        maximum_body_bytes=settings.maximum_body_bytes,
        maximum_buffered_bytes=settings.maximum_buffered_bytes,
        receive_seconds=settings.receive_seconds,
        maximum_connections=raise_file_limit() * 3 // 4,
        tracing=tracing,
    )


def _first(*finds: Find) -> Find:
    """Finds a handler where the first of `finds` has one."""

    def find(method: str, path: str) -> Handler | None:
        return next((handler for one in finds if (handler := one(method, path)) is not None), None)

    return find
