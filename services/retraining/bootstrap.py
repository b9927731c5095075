"""Builds the retraining service: the only place that chooses implementations."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from fastapi import FastAPI

from services.retraining.approvals.expiry_clock import expiry_looks
from services.retraining.controller import Controller
from services.retraining.dependencies import Dependencies
from services.retraining.histories import Histories
from services.retraining.http.app import make_app
from services.retraining.http.routes import RouteDependencies
from services.retraining.isolated_models import IsolatedModels, OpenModel
from services.retraining.launchers.chosen_launcher import ChosenLauncher
from services.retraining.launchers.dask_launcher import DaskLauncher
from services.retraining.launchers.hidden_folders import folders_with_rows
from services.retraining.launchers.kubernetes_launcher import KubernetesLauncher, place_of
from services.retraining.launchers.launcher import Launcher
from services.retraining.launchers.local_launcher import LocalLauncher
from services.retraining.launchers.training_ceiling import training_ceiling
from services.retraining.launchers.training_places import TrainingPlaces
from services.retraining.launchers.training_user import find_training_user
from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.password import with_password
from services.retraining.lifecycle import Lifecycle
from services.retraining.metrics import RetrainingMetrics
from services.retraining.phases.looks import make_looks
from services.retraining.rollout.baseline_watch import BaselineWatch
from services.retraining.runs.leader_lease import RENEW_SECONDS, FileLease, Lease, LedgerLease
from services.retraining.runs.pipeline import Pipeline
from services.retraining.runs.scheduler import RunScheduler
from services.retraining.settings import RetrainingSettings
from services.retraining.shadow_policies import ShadowPolicies
from services.retraining.tracking.outbox_relay import OutboxRelay, Tracker
from services.retraining.triggers.dead_letters import VerdictDeadLetters
from services.retraining.triggers.schedule_clock import schedule_looks
from services.retraining.triggers.verdict_consumer import VerdictConsumer
from shared.access.authenticator import open_authenticator
from shared.access.oidc.settings import OidcSettings
from shared.contracts.retraining_spec import LauncherName
from shared.contracts.topics import VERDICTS
from shared.contracts.verdict import Verdict
from shared.errors import OperatorError
from shared.grafana.annotator import annotator_from
from shared.http.host_check import AllowedHosts
from shared.messaging.consumer import open_consumer
from shared.messaging.handling_journal import open_journal
from shared.messaging.record_mac import RecordMac
from shared.messaging.security.kafka_security import kafka_security
from shared.messaging.security.settings import KafkaSettings
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.models.signed_versions.key_files import record_secrets
from shared.observability.logs import get_logger
from shared.settings import HomeostatSettings
from shared.stores.lake import Lake
from shared.stores.model_store import open_model_store

_log = get_logger(__name__)

# A step that still fails then gives its place to other runs, and is repeated by the scheduler after a pause.
_RETRIES = 2


@dataclass(frozen=True)
class Service:
    """A retraining service that is built and not yet started."""

    app: FastAPI
    controller: Controller
    deps: Dependencies
    scheduler: RunScheduler
    dead_letters: VerdictDeadLetters


def build(
    shared: HomeostatSettings,
    settings: RetrainingSettings,
    *,
    launcher: Launcher | None = None,
    open_model: OpenModel | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Service:
    """Build the service. The app's life cycle starts it. Raises OperatorError if a store or port cannot be opened.

    `open_model`: how models are loaded; by default each in a process of its own.
    """
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
        launcher=launcher or _launcher(settings, home, folders_with_rows(shared)),
        open_model=open_model or models.open,
        runs=home / "runs",
        settings=settings,
        metrics=metrics,
        clock=clock,
        annotator=annotator_from(shared, lambda result: metrics.annotations.labels(result).inc()),
    )
    lease: Lease
    if engine.dialect.name == "postgresql":
        lease = fence = LedgerLease(engine)
        leaders = replace(deps, ledger=Ledger(engine.execution_options(fence=fence.check)))
    else:  # on one machine, where a process that ends gives its lock back
        lease, leaders = FileLease(home / "run" / "retraining.lease"), deps
    pipeline = Pipeline(leaders, stop, retries=_RETRIES)
    scheduler = RunScheduler(
        leaders.ledger,
        lease,
        pipeline.step,
        metrics,
        places=_places(settings),
        stop=stop,
        poll_seconds=min(settings.poll_seconds, RENEW_SECONDS)
        if leaders is not deps
        else settings.poll_seconds,
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
    looks = (
        *make_looks(leaders, pipeline.verify_stored, scheduler, controller.handle_cause, stop, home),
        schedule_looks(deps, controller.handle_cause, lambda: scheduler.leading, stop),
        expiry_looks(leaders, lambda: scheduler.leading, stop),
    )
    mac = RecordMac(record_secrets(deps.keys.verdicts))
    dead_letters = VerdictDeadLetters(home / "run" / "verdict_dead_letters", clock)
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
            dead_letters,
        )
    relay = None
    if settings.mlflow:
        uri = settings.mlflow_uri or f"sqlite:///{home / 'mlflow.sqlite'}"
        relay = OutboxRelay(
            ledger,
            lambda: _open_mlflow(uri, ledger, deps.gate_url),
            pause=settings.mlflow_seconds,
            stop=stop,
            busy=lambda: not scheduler.leading or bool(ledger.working_runs()),
        )
    lifecycle = Lifecycle(deps, controller, scheduler, verdict_consumer, relay, watch, looks, stop)
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
        deps.runs,
        Histories(deps),
        ShadowPolicies(deps, Histories(deps)).costs_by_model,
        dead_letters,
    )
    return Service(make_app(routes, lifecycle), controller, deps, scheduler, dead_letters)


def _keys(home: Path) -> Keys:
    try:
        return ensure_keys(home)
    except OSError as error:
        raise OperatorError(
            f"the keys in {home} cannot be created: {error.strerror}",
            hint="set HOMEOSTAT_HOME to a folder that you can write to",
        ) from error


def _launcher(settings: RetrainingSettings, home: Path, hidden: tuple[Path, ...]) -> Launcher:
    user = find_training_user(settings.training_user)
    if user is None and os.geteuid() == 0:
        _log.warning(
            "training_as_root",
            hint="training commands have all rights: name a user for them in HOMEOSTAT_RETRAINING_TRAINING_USER",
        )
    ceiling = training_ceiling(settings)
    launchers: dict[LauncherName, Launcher] = {
        "process": LocalLauncher(
            niceness=settings.niceness, ceiling=ceiling, user=user, hidden=hidden, places=_places(settings)
        )
    }
    if settings.dask:
        launchers["dask"] = DaskLauncher(
            settings.dask, niceness=settings.niceness, ceiling=ceiling, hidden=hidden
        )
    if settings.kubernetes_image:
        place = place_of(
            namespace=settings.kubernetes_namespace,
            image=settings.kubernetes_image,
            claim=settings.kubernetes_claim,
            home=home,
        )
        launchers["kubernetes"] = KubernetesLauncher(
            place, ceiling=ceiling, pending_seconds=settings.kubernetes_pending_seconds
        )
    return ChosenLauncher(launchers)


def _places(settings: RetrainingSettings) -> TrainingPlaces:
    return TrainingPlaces(
        settings.runs_at_once, settings.training_total_memory_bytes, settings.training_memory_bytes
    )


def _latest_verdicts(ledger: Ledger) -> list[Verdict]:
    found = [ledger.latest_verdict_with_loss(model) for model in ledger.models()]
    return [verdict for verdict in found if verdict is not None]


def _open_mlflow(uri: str, ledger: Ledger, gate_url: Callable[[str], str]) -> Tracker:
    from services.retraining.tracking.mlflow import MlflowTracker

    return MlflowTracker(uri, ledger, gate_url)
