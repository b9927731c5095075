"""The one place that chooses the implementations of the inference service and connects them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import warnings
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from prometheus_client import CollectorRegistry

from services.inference.declared_precision import DeclaredForms
from services.inference.draining_server import Drain
from services.inference.fast_path.hot_requests import HotRequests
from services.inference.http.app import InferenceApp
from services.inference.http.refusals import Refusals
from services.inference.http.response import Asgi
from services.inference.isolation.process import IsolatedProcess
from services.inference.isolation.process_pool import IsolatedProcessPool
from services.inference.isolation.program_files import ProgramFiles
from services.inference.metrics import InferenceMetrics
from services.inference.models.loader import Loader
from services.inference.models.release_log_poller import ReleaseLogPoller
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.on_demand.bounded_loader import BoundedLoader, OnLoop
from services.inference.on_demand.memory_meter import MemoryMeter
from services.inference.on_demand.metrics import OnDemandMetrics
from services.inference.on_demand.model_pool import ModelPool
from services.inference.prediction.metrics import CallEstimateMetrics
from services.inference.prediction.predictor import Predictor
from services.inference.prediction.recorder import Recorder
from services.inference.prediction.spool_collector import SpoolCollector
from services.inference.rollout.rollout import make_rollout
from services.inference.rollout.shadow import Shadows
from services.inference.routes import assemble, assemble_tasks, make_fast_path, make_pool
from services.inference.runtimes.devices import choose_device
from services.inference.runtimes.engines import Engines, open_engine
from services.inference.runtimes.gpu import Gpu, GpuCollector, count_gpus, find_gpu
from services.inference.settings import InferenceSettings
from services.inference.status.report import Status
from services.inference.status.served_models import served_models
from services.inference.tasks.handlers import TaskHandlers
from services.inference.tasks.runner import TaskRunner
from services.inference.tracing.metrics import SpanMetrics
from services.inference.tracing.otlp import open_tracing
from services.inference.tracing.span_queue import SpanQueue
from services.inference.workers.gpu_choice import gpu_of_worker
from services.inference.workers.peers import Alone, Peers, SeveralProcesses
from services.inference.workers.registration import WorkerRegistration, parent_of_this_process, shared_folder
from shared.access.authenticator import open_authenticator
from shared.access.oidc.settings import OidcSettings
from shared.access.route_table import RouteTable
from shared.contracts.prediction_id import PredictionIds
from shared.http.access_check import AccessCheck
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.observability.logs import configure_logs, get_logger
from shared.personal_data.pseudonyms import Pseudonyms
from shared.settings import HomeostatSettings
from shared.spool import SpoolWriter
from shared.stores.model_store import open_model_store
from shared.tls.metrics import Expiring, watch_certificate

_SWAP_SECONDS = 30.0
T = TypeVar("T")


class InferenceServer:
    """A server process: the application, its fast path (None: switched off) and its background work.

    `check_access` puts the access check before an application.
    """

    def __init__(
        self,
        app: InferenceApp,
        hot: HotRequests | None,
        check_access: Callable[[Asgi], Asgi],
        tasks: TaskHandlers,
        runner: TaskRunner,
        poller: ReleaseLogPoller,
        pool: ModelPool,
        predictor: Predictor,
        shadows: Shadows,
        spool: SpoolWriter,
        peers: Peers,
        isolated: IsolatedProcessPool,
        spans: SpanQueue | None,
    ) -> None:
        self.app = app
        self.hot = hot
        self.check_access = check_access
        self.tasks = tasks
        self._runner = runner
        self._poller = poller
        self._pool = pool
        self._predictor = predictor
        self._shadows = shadows
        self._spool = spool
        self._peers = peers
        self._isolated = isolated
        self._spans = spans
        self._publishing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start polling the release log. The server is live at once, and ready when the first model is loaded."""
        self._publishing = asyncio.create_task(self._peers.run(), name="publish-to-peers")
        self._poller.start()
        self._predictor.watchdog.start()
        if self._spans is not None:
            self._spans.start()
        if self.hot is not None:
            self.hot.start_sweeping()

    async def stop(self) -> None:
        """End tasks, stop polling, finish calls in progress, release the spool."""
        await self._runner.stop()
        self._pool.close()
        # In this order: a version on trial is given up, and not reported as a bad one.
        self._poller.begin_stop()
        await asyncio.to_thread(self._isolated.close)
        await asyncio.to_thread(self._poller.stop)
        await asyncio.to_thread(self._shadows.close)
        await asyncio.to_thread(self._predictor.close)
        if self._spans is not None:
            await asyncio.to_thread(self._spans.shutdown)
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.wait([self._publishing])
        self._spool.close()


def build(
    settings: InferenceSettings,
    shared: HomeostatSettings,
    certificate: Expiring | None = None,
    drain: Drain | None = None,
) -> InferenceServer:
    """Build the server; call this on its event loop. `certificate`: that of its listener. `drain`: of its process.

    Raises OperatorError.
    """
    drain = drain or Drain(0)
    configure_logs("inference", shared)
    # A number too large for float32 is refused with its name; the warning of numpy adds nothing.
    warnings.filterwarnings(
        "ignore", message="(overflow|invalid value) encountered in (cast|dot|reduce)", category=RuntimeWarning
    )
    _one_log()
    authenticator = open_authenticator(shared, settings.host, OidcSettings.read())
    registration = None
    if settings.workers > 1:
        registration = WorkerRegistration.take(shared_folder(), parent_of_this_process())
        if settings.device != "cpu":
            _take_one_gpu(registration.number)
    device = choose_device(settings.device)
    get_logger(__name__).info(
        "device_chosen", device=device.name, reason=device.reason, wanted=settings.device
    )
    keys = ensure_keys(shared.home)
    ids = PredictionIds(keys.prediction_id_secret())
    spool = SpoolWriter.open(
        shared.home / "spool",
        maximum_bytes=settings.spool_bytes,
        maximum_seconds=settings.spool_seconds,
        fsync=settings.spool_fsync,
        sync_seconds=settings.spool_fsync_seconds,
    )

    metrics = InferenceMetrics(CollectorRegistry(), maximum_in_flight=settings.maximum_in_flight)
    metrics.registry.register(SpoolCollector(spool))
    watch_certificate(metrics.registry, certificate)
    metrics.runs_on(device.name, device.reason)
    if (gpu := find_gpu(device)) is not None:
        # Workers have a GPU each: the series say which.
        one = os.environ.get("CUDA_VISIBLE_DEVICES")
        label = f"{device.name}:{one}" if registration is not None and one else device.name
        metrics.registry.register(GpuCollector(gpu, label))
    slots: Slots[Servable] = Slots()
    on_demand = OnDemandMetrics(metrics.registry)
    recorder = Recorder(spool, refuses=settings.spool_full == "refuse")
    predictor = Predictor(
        recorder,
        ids,
        metrics,
        inline_seconds=settings.inline_seconds,
        threads=settings.call_threads,
        queue_seconds=settings.queue_seconds,
        maximum_batch_rows=settings.maximum_batch_rows,
        batch_delay_seconds=settings.batch_delay_seconds,
    )
    estimates = CallEstimateMetrics(metrics.registry)
    estimates.watch(slots, predictor.is_inline)
    store = open_model_store(shared.model_store_url, keys)
    bound_bytes = settings.model_memory_mib << 20 or None
    program_files = ProgramFiles()
    isolated = IsolatedProcessPool(
        [
            IsolatedProcess(
                device=device.name,
                threads=settings.operator_threads,
                seconds=settings.candidate_seconds,
                memory_bytes=settings.candidate_memory_bytes,
                program_replaced=program_files.replaced,
            )
            # One for releases, and one for models that requests wait for.
            for _ in range(1 if bound_bytes is None else 2)
        ]
    )
    engines = Engines(
        DeclaredForms(settings.precision, settings.precision_by_model, settings.tensorrt),
        maximum_batch_rows=settings.maximum_batch_rows,
        tensorrt_folder=shared.home / "tensorrt",
    )
    loader = Loader(
        store,
        verifying_key=keys.verifying,
        trial=isolated.open,
        engine=partial(open_engine, device=device, threads=settings.operator_threads),
        options=engines.options,
        probe_rows=settings.probe_rows,
        probe_tolerance=settings.probe_tolerance,
        precision_tolerance=settings.precision_tolerance,
        pseudonyms=Pseudonyms.read(keys.pseudonyms) if keys.pseudonyms.exists() else None,
    )
    on_loop = _caller(asyncio.get_running_loop())
    on_demand.watch(slots, metrics.releases, bound_bytes=bound_bytes)
    bounded = None
    if bound_bytes is not None:
        bounded = BoundedLoader(
            slots,
            loader,
            lambda release: store.manifest(release.model, release.version),
            bound_bytes=bound_bytes,
            meter=_memory_meter(gpu),
            trials_are_measured=gpu is not None,
            on_loop=on_loop,
            last_predictions=metrics.last_predictions,
            unloaded=on_demand.unloaded,
        )
    load = loader.load if bounded is None else bounded.load
    rollout = make_rollout(
        slots,
        ids,
        predictor,
        store,
        load,
        registry=metrics.registry,
        versions=metrics.releases,
        on_loop=on_loop,
        retry_seconds=settings.retry_seconds,
        load_live=None if bounded is None else bounded.load_live,
    )
    load_live = loader.load if bounded is None else bounded.load_live
    pool = make_pool(settings, slots, load_live, on_demand)
    poller = ReleaseLogPoller(
        store,
        slots,
        load,
        metrics=metrics.releases,
        on_loop=on_loop,
        has_room=None if bounded is None else bounded.has_room,
        sides=rollout.releases,
        only=settings.models,
        poll_seconds=settings.poll_seconds,
        retry_seconds=settings.retry_seconds,
    )
    metrics.releases.watch_release_log(poller.seconds_since_read)
    metrics.releases.watch_served(partial(served_models, slots, poller))
    status = Status(
        pool,
        poller,
        spool,
        metrics,
        on_demand,
        estimates,
        device=device.name,
        device_reason=device.reason,
        side_slots=rollout.status,
        worker=registration.number if registration is not None else 1,
        drain=drain,
    )
    peers: Peers = Alone(metrics.registry, status.of_this_process)
    if registration is not None:
        drain.is_last = registration.stop_listening
        peers = SeveralProcesses(
            registration, metrics.registry, status.of_this_process, workers=settings.workers
        )
        status.watch_peers(peers)
    tracing, spans = open_tracing(
        settings.otlp_endpoint,
        SpanMetrics(metrics.registry),
        ratio=settings.trace_ratio,
        instance=spool.writer,
    )
    app = assemble(
        settings,
        pool,
        recorder,
        predictor,
        rollout.canaries,
        ids,
        metrics,
        status,
        known_models=poller.known_models,
        peers=peers,
        tracing=tracing,
        drain=drain,
    )
    tasks, runner = assemble_tasks(settings, shared.home / "tasks", pool, predictor, metrics)
    hot = None
    if settings.fast_path:
        hot = make_fast_path(settings, slots, predictor, metrics, tracing, authenticator=authenticator)
    check_access = partial(
        AccessCheck,
        routes=RouteTable.of("inference"),
        authenticator=authenticator,
        refuse=Refusals(metrics),
    )
    # Objects made so far live as long as the process: exclude them from garbage collection under load.
    gc.collect()
    gc.freeze()
    return InferenceServer(
        app,
        hot,
        check_access,
        tasks,
        runner,
        poller,
        pool,
        predictor,
        rollout.shadows,
        spool,
        peers,
        isolated,
        spans,
    )


def _memory_meter(gpu: Gpu | None) -> MemoryMeter:
    """Measures the memory of the GPU if models are on one and it can be read, else that of the process."""
    if gpu is None or gpu.read().used_bytes is None:
        return MemoryMeter()
    return MemoryMeter(lambda: gpu.read().used_bytes or 0)


def _take_one_gpu(worker: int) -> None:
    """Let this process see one GPU. CUDA reads the variable when it is first used, which is later."""
    gpu = gpu_of_worker(worker, visible=os.environ.get("CUDA_VISIBLE_DEVICES"), count=count_gpus())
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        get_logger(__name__).info("gpu_chosen", worker=worker, gpu=gpu)


def _one_log() -> None:
    """Send the log lines of BentoML and uvicorn through our handler only."""
    for name in ("bentoml", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _caller(loop: asyncio.AbstractEventLoop) -> OnLoop:
    """Runs a function on the loop from another thread and waits for its result."""

    def on_loop(function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), loop).result(timeout=_SWAP_SECONDS)

    return on_loop
