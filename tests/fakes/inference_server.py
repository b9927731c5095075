"""An inference server in memory: real runtime, loader and handlers, and a spool with a memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import httpx
from prometheus_client import CollectorRegistry

from services.inference.declared_precision import DeclaredForms
from services.inference.draining_server import Drain
from services.inference.http.app import InferenceApp
from services.inference.metrics import InferenceMetrics
from services.inference.models.loader import Loader
from services.inference.models.release_log_poller import ReleaseLogPoller
from services.inference.models.servable import Engine, Servable
from services.inference.models.slot import Slots
from services.inference.on_demand.bounded_loader import BoundedLoader
from services.inference.on_demand.memory_meter import MemoryMeter
from services.inference.on_demand.metrics import OnDemandMetrics
from services.inference.prediction.metrics import CallEstimateMetrics
from services.inference.prediction.predictor import Predictor
from services.inference.prediction.recorder import Recorder
from services.inference.prediction.spool_collector import SpoolCollector
from services.inference.rollout.rollout import make_rollout
from services.inference.routes import assemble, make_pool
from services.inference.runtimes.devices import choose_device
from services.inference.runtimes.engines import EngineOptions, Engines, open_engine
from services.inference.settings import InferenceSettings
from services.inference.status.report import Status
from services.inference.status.served_models import served_models
from services.inference.tracing.request_trace import Tracing
from shared.contracts.prediction_id import PredictionIds
from shared.personal_data.pseudonyms import Pseudonyms
from tests.fakes.spool import FakeSpool
from tests.fakes.toy_model import ToyStore
from tests.fakes.trial import trial_in_this_process

T = TypeVar("T")
IDS = PredictionIds(b"k" * 32)


class InferenceServer:
    """A server without processes and sockets."""

    def __init__(
        self,
        toys: ToyStore,
        *,
        only: tuple[str, ...] = (),
        bound_bytes: int | None = None,
        tracing: Tracing | None = None,
        **settings: Any,
    ) -> None:
        self.settings = InferenceSettings(**settings)
        self.spool = FakeSpool()
        self.drain = Drain(0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.slots: Slots[Servable] = Slots()
        self.registry = CollectorRegistry()
        metrics = self.metrics = InferenceMetrics(self.registry)
        self.registry.register(SpoolCollector(self.spool))
        device = choose_device("cuda" if self.settings.device == "cuda" else "cpu")

        def engine(name: str, model: bytes, options: EngineOptions) -> Engine:
            return open_engine(name, model, options, device=device, threads=1)

        engines = Engines(
            DeclaredForms(self.settings.precision, self.settings.precision_by_model, self.settings.tensorrt),
            maximum_batch_rows=self.settings.maximum_batch_rows,
            tensorrt_folder=toys.home / "tensorrt",
        )

        loader = Loader(
            toys.store,
            verifying_key=toys.keys.verifying,
            trial=trial_in_this_process(engine),
            engine=engine,
            options=engines.options,
            probe_rows=8,
            probe_tolerance=1e-3,
            precision_tolerance=self.settings.precision_tolerance,
            pseudonyms=Pseudonyms.read(toys.keys.pseudonyms),
        )
        on_demand = OnDemandMetrics(self.registry)
        on_demand.watch(self.slots, metrics.releases, bound_bytes=bound_bytes)
        self.bounded = BoundedLoader(
            self.slots,
            loader,
            lambda release: toys.store.manifest(release.model, release.version),
            bound_bytes=bound_bytes or 0,
            meter=MemoryMeter(lambda: 0, lambda: None),  # sizes of files are exact
            on_loop=self.on_loop,
            last_predictions=metrics.last_predictions,
            unloaded=on_demand.unloaded,
            room_seconds=0.2,
        )
        load = loader.load if bound_bytes is None else self.bounded.load
        load_live = loader.load if bound_bytes is None else self.bounded.load_live
        self.pool = make_pool(self.settings, self.slots, load_live, on_demand)
        recorder = self.recorder = Recorder(self.spool)
        predictor = self.predictor = Predictor(
            recorder,
            IDS,
            metrics,
            inline_seconds=self.settings.inline_seconds,
            threads=2,
            queue_seconds=self.settings.queue_seconds,
            maximum_batch_rows=self.settings.maximum_batch_rows,
            batch_delay_seconds=self.settings.batch_delay_seconds,
        )
        self.rollout = make_rollout(
            self.slots,
            IDS,
            predictor,
            toys.store,
            load,
            registry=self.registry,
            versions=metrics.releases,
            on_loop=self.on_loop,
            retry_seconds=1.0,
            load_live=None if bound_bytes is None else self.bounded.load_live,
        )
        self.poller = ReleaseLogPoller(
            toys.store,
            self.slots,
            load,
            metrics=metrics.releases,
            on_loop=self.on_loop,
            has_room=None if bound_bytes is None else self.bounded.has_room,
            only=only,
            poll_seconds=0.1,
            retry_seconds=1.0,
            sides=self.rollout.releases,
        )
        metrics.releases.watch_release_log(self.poller.seconds_since_read)
        metrics.releases.watch_served(partial(served_models, self.slots, self.poller))
        estimates = CallEstimateMetrics(self.registry)
        estimates.watch(self.slots, predictor.is_inline)
        status = Status(
            self.pool,
            self.poller,
            self.spool,
            metrics,
            on_demand,
            estimates,
            device="cpu",
            device_reason="requested",
            side_slots=self.rollout.status,
            drain=self.drain,
        )
        self.app: InferenceApp = assemble(
            self.settings,
            self.pool,
            recorder,
            predictor,
            self.rollout.canaries,
            IDS,
            metrics,
            status,
            known_models=self.poller.known_models,
            tracing=tracing,
            drain=self.drain,
        )
        self.tracing = tracing
        self.poller.poll()

    def on_loop(self, function: Callable[[], T]) -> T:
        """On the loop of `ask` while that runs, from the threads that load; else at once."""
        loop = self._loop
        if loop is None or not loop.is_running():
            return function()

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), loop).result(30)

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self.ask_together(lambda client: client.request(method, path, **arguments))[0]

    def ask_together(self, *calls: Callable[[httpx.AsyncClient], Any]) -> list[httpx.Response]:
        async def asking() -> list[httpx.Response]:
            self._loop = asyncio.get_running_loop()
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                return list(await asyncio.gather(*(call(client) for call in calls)))

        return asyncio.run(asking())

    async def client(self) -> httpx.AsyncClient:
        """A client for a test that runs its own loop."""
        self._loop = asyncio.get_running_loop()
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://server")

    def predict(self, *rows: object, **rest: object) -> httpx.Response:
        return self.ask("POST", "/predict", json={"rows": list(rows), **rest})

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)
