"""An inference server in memory: real runtime, loader and handlers, and a spool with a memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from services.inference.bootstrap import assemble
from services.inference.http.app import InferenceApp
from services.inference.metrics import InferenceMetrics
from services.inference.models.loader import Loader
from services.inference.models.release_watcher import ReleaseWatcher
from services.inference.models.servable import Engine, Servable
from services.inference.models.slot import Slots
from services.inference.prediction.predictor import Predictor
from services.inference.prediction.recorder import Recorder
from services.inference.prediction.spool_collector import SpoolCollector
from services.inference.runtimes.devices import choose_device
from services.inference.runtimes.engines import open_engine
from services.inference.settings import InferenceSettings
from services.inference.status.report import Status
from shared.contracts.prediction_id import PredictionIds
from tests.fakes.spool import FakeSpool
from tests.fakes.toy_model import ToyStore
from tests.fakes.trial import trial_in_this_process

IDS = PredictionIds(b"k" * 32)


class InferenceServer:
    """A server without processes and sockets."""

    def __init__(self, toys: ToyStore, *, only: tuple[str, ...] = (), **settings: Any) -> None:
        self.settings = InferenceSettings(**settings)
        self.spool = FakeSpool()
        self.slots: Slots[Servable] = Slots()
        self.registry = CollectorRegistry()
        metrics = self.metrics = InferenceMetrics(self.registry)
        self.registry.register(SpoolCollector(self.spool))
        device = choose_device("cpu")

        def engine(name: str, model: bytes) -> Engine:
            return open_engine(name, model, device=device, threads=1)

        loader = Loader(
            toys.store,
            verifying_key=toys.keys.verifying,
            trial=trial_in_this_process(engine),
            engine=engine,
            probe_rows=8,
            probe_tolerance=1e-3,
        )
        self.watcher = ReleaseWatcher(
            toys.store,
            self.slots,
            loader.load,
            metrics=metrics,
            on_loop=lambda function: function(),
            only=only,
            poll_seconds=0.1,
            retry_seconds=1.0,
        )
        metrics.watch_release_log(self.watcher.seconds_since_read)
        recorder = Recorder(self.spool)
        predictor = self.predictor = Predictor(
            recorder,
            IDS,
            metrics,
            inline_seconds=self.settings.inline_seconds,
            threads=2,
            queue_seconds=self.settings.queue_seconds,
        )
        status = Status(
            self.slots, self.watcher, self.spool, metrics, device="cpu", device_reason="requested"
        )
        self.app: InferenceApp = assemble(
            self.settings,
            self.slots,
            recorder,
            predictor,
            IDS,
            metrics,
            status,
            known_models=self.watcher.known_models,
        )
        self.watcher.poll()

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self.ask_together(lambda client: client.request(method, path, **arguments))[0]

    def ask_together(self, *calls: Callable[[httpx.AsyncClient], Any]) -> list[httpx.Response]:
        async def asking() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                return list(await asyncio.gather(*(call(client) for call in calls)))

        return asyncio.run(asking())

    def predict(self, *rows: object, **rest: object) -> httpx.Response:
        return self.ask("POST", "/predict", json={"rows": list(rows), **rest})

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)
