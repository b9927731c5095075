"""Builds the retraining service: the only place that chooses implementations."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from fastapi import FastAPI

from services.retraining.controller import Controller
from services.retraining.dependencies import Dependencies
from services.retraining.http.app import make_app
from services.retraining.http.routes import RouteDependencies
from services.retraining.isolated_models import IsolatedModels
from services.retraining.launchers.launcher import Launcher
from services.retraining.launchers.local_launcher import LocalLauncher
from services.retraining.launchers.training_user import find_training_user
from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.password import with_password
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.baseline_watch import BaselineWatch
from services.retraining.run_states import WORKING
from services.retraining.runs.leader_lease import FileLease, Lease, PostgresLease
from services.retraining.runs.pipeline import Pipeline
from services.retraining.runs.scheduler import RunScheduler
from services.retraining.settings import RetrainingSettings
from services.retraining.tracking.outbox_relay import OutboxRelay, Tracker
from services.retraining.triggers.verdict_consumer import VerdictConsumer
from shared.access.authenticator import open_authenticator
from shared.access.oidc.settings import OidcSettings
from shared.contracts.topics import VERDICTS
from shared.contracts.verdict import Verdict
from shared.errors import HomeostatError, OperatorError
from shared.grafana.annotator import annotator_from
from shared.http.host_check import AllowedHosts
from shared.messaging.consumer import open_consumer
from shared.messaging.handling_journal import open_journal
from shared.messaging.record_mac import RecordMac
from shared.messaging.security.kafka_security import kafka_security
from shared.messaging.security.settings import KafkaSettings
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.models.signed_versions.key_files import record_secrets
from shared.models.training.confinement import Confinement
from shared.observability.logs import get_logger
from shared.settings import HomeostatSettings
from shared.stores.lake import Lake
from shared.stores.model_store import open_model_store

_log = get_logger(__name__)

# Seconds given to queued annotations at shutdown.
_ANNOTATION_SECONDS = 1.0
_NOT_COMPARED = {"baseline_loss": None, "served_loss": None, "metric": "", "window": None, "rows": 0}


@dataclass(frozen=True)
class Service:
    """A retraining service that is built and not yet started."""

    app: FastAPI
    controller: Controller
    deps: Dependencies
    scheduler: RunScheduler


def build(
    shared: HomeostatSettings,
    settings: RetrainingSettings,
    *,
    launcher: Launcher | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Service:
    """Build the service. The app's life cycle starts it. Raises OperatorError if a store or port cannot be opened."""
    home = shared.home.absolute()
    engine = open_engine(
        with_password(settings.ledger, settings.password_file) or f"sqlite:///{home / 'ledger.sqlite'}"
    )
    ledger = Ledger(engine)
    keys = _keys(home)
    stop = Event()
    metrics = RetrainingMetrics()
    metrics.listening.set(int(settings.listen))
    models = IsolatedModels(
        seconds=settings.model_seconds, memory_bytes=settings.model_memory_bytes, is_stopped=stop.is_set
    )
    deps = Dependencies(
        ledger=ledger,
        store=open_model_store(shared.model_store_url, keys),
        lake=Lake(shared.lake_url),
        keys=keys,
        launcher=launcher or _launcher(settings),
        open_model=models.open,
        runs=home / "runs",
        settings=settings,
        metrics=metrics,
        clock=clock,
        annotator=annotator_from(shared, lambda result: metrics.annotations.labels(result).inc()),
    )
    pipeline = Pipeline(deps, stop)
    lease: Lease = (
        PostgresLease(engine)
        if engine.dialect.name == "postgresql"
        else FileLease(home / "run" / "retraining.lease")
    )
    scheduler = RunScheduler(
        ledger,
        lease,
        pipeline.step,
        metrics,
        runs_at_once=settings.runs_at_once,
        stop=stop,
        poll_seconds=settings.poll_seconds,
        on_lease_lost=lambda: os.kill(os.getpid(), signal.SIGTERM),
    )
    watch = BaselineWatch(
        deps.store,
        deps.lake,
        deps.keys,
        metrics,
        lambda: _latest_verdicts(ledger),
        stop,
        open_model=deps.open_model,
    )
    controller = Controller(deps, pipeline, scheduler.wake, watch.observe)
    mac = RecordMac(record_secrets(deps.keys.verdicts))
    verdict_consumer = None
    if settings.listen:
        consumer = open_consumer(
            shared.kafka,
            [VERDICTS.name],
            settings.consumer_group,
            "homeostat-retraining",
            security=kafka_security(KafkaSettings()),
        )
        verdict_consumer = VerdictConsumer(
            consumer,
            controller.handle_cause,
            mac,
            metrics,
            stop,
            clock,
            open_journal(home / "run", "verdicts"),
        )
    relay = None
    if settings.mlflow:
        uri = settings.mlflow_uri or f"sqlite:///{home / 'mlflow.sqlite'}"
        relay = OutboxRelay(
            ledger,
            lambda: _open_mlflow(uri, ledger),
            pause=settings.mlflow_seconds,
            stop=stop,
            busy=lambda: bool(ledger.working_runs()),
        )
    lifecycle = _Lifecycle(deps, controller, scheduler, verdict_consumer, relay, watch, stop)
    hosts = AllowedHosts.of(settings.host, settings.names, "HOMEOSTAT_RETRAINING_NAMES")
    routes = RouteDependencies(
        controller,
        ledger,
        deps.store,
        deps.lake,
        metrics,
        lifecycle.status,
        lifecycle.is_ready,
        clock,
        hosts,
        open_authenticator(shared, settings.host, OidcSettings.read()),
        settings.maximum_body_bytes,
        mac,
    )
    return Service(make_app(routes, lifecycle), controller, deps, scheduler)


class _Lifecycle:
    """Starts background threads in order of dependency and stops them in reverse order."""

    def __init__(
        self,
        deps: Dependencies,
        controller: Controller,
        scheduler: RunScheduler,
        verdict_consumer: VerdictConsumer | None,
        relay: OutboxRelay | None,
        watch: BaselineWatch,
        stop: Event,
    ) -> None:
        self._annotator = deps.annotator
        self._controller = controller
        self._scheduler = scheduler
        self._consumer = verdict_consumer
        self._relay = relay
        self._watch = watch
        self._ledger = deps.ledger
        self._stop = stop

    def start(self) -> None:
        try:
            self._controller.sync_releases()
        except HomeostatError as error:
            _log.warning("release_sync_failed", problem=str(error))
        self._scheduler.start()
        if self._consumer is not None:
            self._consumer.start()
        if self._relay is not None:
            self._relay.start()
        self._watch.start()

    def stop(self) -> None:
        self._stop.set()
        self._watch.wake()
        if self._consumer is not None:
            self._consumer.join()
        self._scheduler.stop()
        self._annotator.close(_ANNOTATION_SECONDS)
        self._ledger.close()

    def is_ready(self) -> bool:
        return not self._stop.is_set()

    def status(self) -> dict[str, Any]:
        runs = self._ledger.runs(states=WORKING)
        found = self._watch.comparisons()
        listening = (
            "off"
            if self._consumer is None
            else ("connected" if self._consumer.connected else "waiting for Kafka")
        )
        return {
            "ready": self.is_ready(),
            "is_leader": self._scheduler.leading,
            "leader": self._scheduler.holder(),
            "verdicts": listening,
            "mlflow": "off" if self._relay is None else (self._relay.problem or "connected"),
            "mlflow_pending_entries": self._ledger.unsent_count(),
            "active_runs": [{"run_id": run.run_id, "model": run.model, "state": run.state} for run in runs],
            "models": [
                {"model": model, **(found[model].to_json() if model in found else _NOT_COMPARED)}
                for model in self._ledger.models()
            ],
        }


def _keys(home: Path) -> Keys:
    try:
        return ensure_keys(home)
    except OSError as error:
        raise OperatorError(
            f"the keys in {home} cannot be created: {error.strerror}",
            hint="set HOMEOSTAT_HOME to a folder that you can write to",
        ) from error


def _launcher(settings: RetrainingSettings) -> Launcher:
    user = find_training_user(settings.training_user)
    if user is None and os.geteuid() == 0:
        _log.warning(
            "training_as_root",
            hint="training commands have all rights: name a user for them in HOMEOSTAT_RETRAINING_TRAINING_USER",
        )
    ceiling = Confinement(
        memory_bytes=settings.training_memory_bytes,
        cpu_seconds=settings.training_cpu_seconds,
        network=settings.training_network != "none",
    )
    return LocalLauncher(niceness=settings.niceness, ceiling=ceiling, user=user)


def _latest_verdicts(ledger: Ledger) -> list[Verdict]:
    found = [ledger.latest_verdict_with_loss(model) for model in ledger.models()]
    return [verdict for verdict in found if verdict is not None]


def _open_mlflow(uri: str, ledger: Ledger) -> Tracker:
    from services.retraining.tracking.mlflow import MlflowTracker

    return MlflowTracker(uri, ledger)
