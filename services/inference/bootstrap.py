"""The one place that chooses the implementations of the inference service and connects them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import warnings
from collections.abc import Callable, Collection
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.inference.fast_path.hot_requests import HotRequests
from services.inference.http.app import Find, Handler, InferenceApp
from services.inference.http.body import BodyReader
from services.inference.http.operations import OperationsHandler
from services.inference.http.outcomes import OutcomesHandler
from services.inference.http.predict import PredictHandler
from services.inference.isolation.process import IsolatedProcess
from services.inference.metrics import InferenceMetrics
from services.inference.mlflow_scoring.handlers import MlflowHandler
from services.inference.models.loader import Loader
from services.inference.models.release_watcher import ReleaseWatcher
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.open_inference.handlers import OpenInferenceHandler
from services.inference.prediction.predictor import Predictor
from services.inference.prediction.recorder import Recorder
from services.inference.prediction.spool_collector import SpoolCollector
from services.inference.runtimes.devices import choose_device
from services.inference.runtimes.engines import open_engine
from services.inference.runtimes.gpu import GpuCollector, count_gpus, find_gpu
from services.inference.settings import InferenceSettings
from services.inference.status.report import Status
from services.inference.tasks.handlers import TaskHandlers
from services.inference.tasks.metrics import TaskMetrics
from services.inference.tasks.runner import TaskRunner
from services.inference.tasks.scorer import FileScorer
from services.inference.tasks.store import TaskStore
from services.inference.tasks.upload import UploadReader
from services.inference.workers.gpu_choice import gpu_of_worker
from services.inference.workers.peers import Alone, Peers, SeveralProcesses
from services.inference.workers.places import Place, parent_of_this_process, shared_folder
from shared.contracts.prediction_id import PredictionIds
from shared.models.keys import ensure_keys
from shared.observability.logs import configure_logs, get_logger
from shared.settings import HomeostatSettings
from shared.spool import SpoolWriter
from shared.stores.model_store import open_model_store

_SWAP_SECONDS = 30.0


class InferenceServer:
    """A server process: the application, its fast path (None: switched off) and its background work."""

    def __init__(
        self,
        app: InferenceApp,
        hot: HotRequests | None,
        tasks: TaskHandlers,
        runner: TaskRunner,
        watcher: ReleaseWatcher,
        predictor: Predictor,
        spool: SpoolWriter,
        peers: Peers,
        isolated: IsolatedProcess,
    ) -> None:
        self.app = app
        self.hot = hot
        self.tasks = tasks
        self._runner = runner
        self._watcher = watcher
        self._predictor = predictor
        self._spool = spool
        self._peers = peers
        self._isolated = isolated
        self._publishing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start polling the release log. The server is live at once, and ready when the first model is loaded."""
        self._publishing = asyncio.create_task(self._peers.run(), name="publish-to-peers")
        self._watcher.start()
        if self.hot is not None:
            self.hot.start_sweeping()

    async def stop(self) -> None:
        """End tasks, stop polling, finish calls in progress, release the spool."""
        await self._runner.stop()
        await asyncio.to_thread(self._watcher.stop)
        await asyncio.to_thread(self._isolated.close)
        await asyncio.to_thread(self._predictor.close)
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.wait([self._publishing])
        self._spool.close()


def build(settings: InferenceSettings, shared: HomeostatSettings) -> InferenceServer:
    """Build the server; call this on its event loop. Raises OperatorError."""
    configure_logs("inference", shared)
    # A number too large for float32 is refused with its name; the warning of numpy adds nothing.
    warnings.filterwarnings(
        "ignore", message="(overflow|invalid value) encountered in (cast|dot|reduce)", category=RuntimeWarning
    )
    _one_log()
    place = None
    if settings.workers > 1:
        place = Place.take(shared_folder(), parent_of_this_process())
        if settings.device != "cpu":
            _take_one_gpu(place.number)
    device = choose_device(settings.device)
    get_logger(__name__).info(
        "device_chosen", device=device.name, reason=device.reason, wanted=settings.device
    )
    keys = ensure_keys(shared.home)
    ids = PredictionIds(keys.prediction_id_secret())
    spool = SpoolWriter.open(shared.home / "spool", maximum_bytes=settings.spool_bytes)

    metrics = InferenceMetrics(CollectorRegistry())
    metrics.registry.register(SpoolCollector(spool))
    metrics.runs_on(device.name, device.reason)
    if (gpu := find_gpu(device)) is not None:
        # Workers have a GPU each: the series say which.
        one = os.environ.get("CUDA_VISIBLE_DEVICES")
        label = f"{device.name}:{one}" if place is not None and one else device.name
        metrics.registry.register(GpuCollector(gpu, label))
    slots: Slots[Servable] = Slots()
    recorder = Recorder(spool)
    predictor = Predictor(
        recorder,
        ids,
        metrics,
        inline_seconds=settings.inline_seconds,
        threads=settings.call_threads,
        queue_seconds=settings.queue_seconds,
    )
    store = open_model_store(shared.model_store_url)
    isolated = IsolatedProcess(
        device=device.name,
        threads=settings.operator_threads,
        seconds=settings.candidate_seconds,
        memory_bytes=settings.candidate_memory_bytes,
    )
    loader = Loader(
        store,
        verifying_key=keys.verifying,
        trial=isolated.open,
        engine=lambda name, model: open_engine(name, model, device=device, threads=settings.operator_threads),
        probe_rows=settings.probe_rows,
        probe_tolerance=settings.probe_tolerance,
    )
    watcher = ReleaseWatcher(
        store,
        slots,
        loader.load,
        metrics=metrics,
        on_loop=_caller(asyncio.get_running_loop()),
        only=settings.models,
        poll_seconds=settings.poll_seconds,
        retry_seconds=settings.retry_seconds,
    )
    metrics.watch_release_log(watcher.seconds_since_read)
    status = Status(
        slots,
        watcher,
        spool,
        metrics,
        device=device.name,
        device_reason=device.reason,
        worker=place.number if place is not None else 1,
        maximum_in_flight=settings.maximum_in_flight,
    )
    peers: Peers = Alone(metrics.registry, status.of_this_process)
    if place is not None:
        peers = SeveralProcesses(place, metrics.registry, status.of_this_process, workers=settings.workers)
        status.watch_peers(peers)
    app = assemble(
        settings,
        slots,
        recorder,
        predictor,
        ids,
        metrics,
        status,
        known_models=watcher.known_models,
        peers=peers,
    )
    tasks, runner = assemble_tasks(settings, shared.home / "tasks", slots, predictor, metrics)
    hot = make_fast_path(settings, slots, predictor, metrics) if settings.fast_path else None
    # Objects made so far live as long as the process: exclude them from garbage collection under load.
    gc.collect()
    gc.freeze()
    return InferenceServer(app, hot, tasks, runner, watcher, predictor, spool, peers, isolated)


def assemble(
    settings: InferenceSettings,
    slots: Slots[Servable],
    recorder: Recorder,
    predictor: Predictor,
    ids: PredictionIds,
    metrics: InferenceMetrics,
    status: Status,
    *,
    known_models: Callable[[], Collection[str]],
    peers: Peers | None = None,
) -> InferenceApp:
    """The application with its handlers; tests pass fakes. `peers`: None for a server of one process."""
    predict = PredictHandler(slots, predictor, metrics, maximum_rows=settings.maximum_rows)
    outcomes = OutcomesHandler(
        slots, recorder, ids, metrics, maximum_outcomes=settings.maximum_rows, known_models=known_models
    )
    oip = OpenInferenceHandler(slots, predictor, metrics, status, maximum_rows=settings.maximum_rows)
    mlflow = MlflowHandler(slots, predictor, metrics, status, maximum_rows=settings.maximum_rows)
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
    )


def assemble_tasks(
    settings: InferenceSettings,
    root: Path,
    slots: Slots[Servable],
    predictor: Predictor,
    metrics: InferenceMetrics,
) -> tuple[TaskHandlers, TaskRunner]:
    """The handlers of batch tasks and what runs them; tests pass fakes."""
    store = TaskStore(root, kept_seconds=3600 * settings.task_hours, maximum_tasks=settings.maximum_tasks)
    scorer = FileScorer(slots, predictor, metrics, inline_seconds=settings.inline_seconds)
    runner = TaskRunner(store, scorer, TaskMetrics(metrics.registry), maximum_rows=settings.maximum_file_rows)
    uploads = UploadReader(
        maximum_bytes=settings.maximum_file_bytes, receive_seconds=settings.receive_seconds
    )
    return TaskHandlers(store, runner, scorer, uploads, metrics), runner


def _first(*finds: Find) -> Find:
    """Finds a handler where the first of `finds` has one."""

    def find(method: str, path: str) -> Handler | None:
        return next((handler for one in finds if (handler := one(method, path)) is not None), None)

    return find


def _take_one_gpu(worker: int) -> None:
    """Let this process see one GPU. CUDA reads the variable when it is first used, which is later."""
    gpu = gpu_of_worker(worker, visible=os.environ.get("CUDA_VISIBLE_DEVICES"), count=count_gpus())
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        get_logger(__name__).info("gpu_chosen", worker=worker, gpu=gpu)


def make_fast_path(
    settings: InferenceSettings, slots: Slots[Servable], predictor: Predictor, metrics: InferenceMetrics
) -> HotRequests:
    """The fast path with the limits of the ordinary one; tests pass fakes."""
    return HotRequests(
        slots,
        predictor,
        metrics,
        maximum_rows=settings.maximum_rows,
        maximum_body_bytes=settings.maximum_body_bytes,
        maximum_buffered_bytes=settings.maximum_buffered_bytes,
        receive_seconds=settings.receive_seconds,
    )


def _one_log() -> None:
    """Send the log lines of BentoML and uvicorn through our handler only."""
    for name in ("bentoml", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _caller(loop: asyncio.AbstractEventLoop) -> Callable[[Callable[[], bool]], bool]:
    """Runs a function on the loop from another thread and waits for its result."""

    def on_loop(function: Callable[[], bool]) -> bool:
        async def call() -> bool:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), loop).result(timeout=_SWAP_SECONDS)

    return on_loop
