"""The one place that chooses the real implementations of the drift service."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

from prometheus_client import CollectorRegistry

from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.evidently_adapter import EvidentlyAdapter
from services.drift.http.app import make_app
from services.drift.http.data_summaries import DataSummaries, run_summary
from services.drift.http.open_decisions import OpenDecisions
from services.drift.http.report_retention import ReportRetention
from services.drift.http.reports import Reports
from services.drift.http.routes import Dependencies
from services.drift.metrics import DriftMetrics
from services.drift.monitoring.lake_reader import DeltaLakeReader
from services.drift.monitoring.monitor import Monitor
from services.drift.monitoring.references import StoredReferences
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.running import Drift, StreamDetection
from services.drift.settings import DriftSettings
from services.drift.sharing.membership import Membership
from services.drift.sharing.ownership import Ownership, OwnsAll, SharedModels
from services.drift.sharing.shards import SHARDS
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream_monitor.confirmation import Confirmation
from services.drift.stream_monitor.examiner import Examiner
from services.drift.stream_monitor.metrics import StreamMetrics
from services.drift.stream_monitor.pending import PendingSuspicions
from services.drift.stream_monitor.preparation import ProfilePreparation
from services.drift.stream_monitor.profiles import Profiles
from services.drift.stream_monitor.state_files import OneFile, ShardFiles
from services.drift.stream_monitor.stream_monitor import StreamMonitor, log_mismatch
from services.drift.stream_monitor.stream_state import StreamState
from services.drift.thresholds.alarm_budget import stream_budget
from services.drift.verdicts.kafka_topic import KafkaVerdicts
from services.drift.verdicts.publisher import Publisher
from services.drift.verdicts.state_changes import StateChanges
from services.drift.verdicts.store import VerdictStore
from shared.access.authenticator import open_authenticator
from shared.access.client_key import find_client_key
from shared.access.oidc.settings import OidcSettings
from shared.contracts.topics import PREDICTIONS
from shared.grafana.annotator import annotator_from
from shared.http.host_check import AllowedHosts
from shared.messaging.polling.group_membership import GroupMembership
from shared.messaging.producer import open_producer
from shared.messaging.record_mac import AuthenticatingProducer, RecordMac
from shared.messaging.security.kafka_security import kafka_security
from shared.messaging.security.settings import KafkaSettings
from shared.messaging.topic_reader import KafkaTopicReader
from shared.messaging.verdict_attestation import attest
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.key_files import record_secrets
from shared.settings import HomeostatSettings
from shared.stores.lake import Lake
from shared.stores.model_store import open_model_store
from shared.stores.reports.report_store import open_report_store
from shared.tls.metrics import watch_certificate
from shared.tls.server_certificate import server_certificate
from shared.tls.settings import TlsSettings


def assemble(shared: HomeostatSettings, settings: DriftSettings) -> Drift:
    """Wire the service. Raises OperatorError where the verdict store cannot be opened or a key or certificate is missing."""
    keys = Keys(shared.home / "keys")
    mac = RecordMac(record_secrets(keys.verdicts))
    metrics = DriftMetrics(
        CollectorRegistry(),
        lambda verdict: attest(mac, verdict.model, verdict.verdict_id, verdict.version, verdict.state),
    )
    certificate = server_certificate(TlsSettings())
    watch_certificate(metrics.registry, certificate)
    models = (
        SharedModels(shared.home / "drift" / "shards", streams=settings.stream) if settings.shared else None
    )
    ownership: Ownership = models or OwnsAll()
    verdicts = VerdictStore(shared.home / "drift" / "verdicts.sqlite", shared=settings.shared)
    store = open_model_store(shared.model_store_url, keys)
    preparation = ProfilePreparation() if settings.stream else None
    references = StoredReferences(
        store,
        _versions_folder(shared, settings),
        keys.verifying,
        preparation.add if preparation is not None else lambda *_: None,
    )
    lake_reader = DeltaLakeReader(Lake(shared.lake_url))
    evidently = EvidentlyAdapter()
    producer = AuthenticatingProducer(
        open_producer(shared.kafka, "homeostat-drift", security=kafka_security(KafkaSettings())),
        mac,
    )
    topic = KafkaVerdicts(producer, settings.publish_timeout_seconds)
    publisher = Publisher(topic, verdicts, metrics, settings.publish_retry_seconds, ownership)
    annotator = annotator_from(shared, metrics.annotated)
    evaluator = Evaluator(evidently, settings.sample_rows)
    state_changes = StateChanges(verdicts, annotator)
    evaluation = WindowEvaluation(
        references,
        lake_reader,
        evaluator,
        verdicts,
        metrics,
        _now,
        notify_publisher=publisher.notify,
        on_evaluation=state_changes.annotate,
    )
    stream = None
    if preparation is not None:
        profiles = Profiles(
            references,
            lambda one: StreamProfile.of(one, stream_budget(one.loop.drift.false_alarms_per_30_days)),
            kept=settings.stream_generations,
        )
        pending, stream_metrics = PendingSuspicions(), StreamMetrics(metrics.registry)
        examiner = Examiner(
            pending,
            Confirmation(references, lake_reader, evaluator, verdicts, _now),
            verdicts,
            metrics,
            stream_metrics,
            notify_publisher=publisher.notify,
            on_verdict=state_changes.annotate,
            ownership=ownership,
        )
        stream = StreamDetection(
            _stream_monitor(shared, settings, keys, profiles, pending, stream_metrics, models),
            examiner,
            pending,
            preparation,
            profiles,
        )
    monitor = Monitor(
        references=references,
        lake_reader=lake_reader,
        evaluation=evaluation,
        verdicts=verdicts,
        metrics=metrics,
        now=_now,
        poll_seconds=settings.poll_seconds,
        prepare=evidently.prepare_distances,
        ownership=ownership,
    )
    retention = ReportRetention(
        open_report_store(shared.reports_url),
        settings.kept_reports,
        timedelta(days=settings.report_days),
        OpenDecisions(settings.retraining_url, lambda: find_client_key(shared.home, os.environ)),
        _now,
    )
    reports = Reports(
        retention.store,
        retention,
        verdicts,
        references,
        lake_reader,
        evidently,
        max_rows=settings.sample_rows,
    )
    summaries = DataSummaries(
        lambda model: run_summary(model, {"HOMEOSTAT_HOME": str(shared.home.absolute())}), _now
    )
    ready = Event()
    hosts = AllowedHosts.of(settings.host, settings.names, "HOMEOSTAT_DRIFT_NAMES")
    authenticator = open_authenticator(shared, settings.host, OidcSettings.read())
    dependencies = Dependencies(
        monitor, verdicts, reports, summaries, metrics.registry, ready, _now(), _now, hosts, authenticator
    )
    return Drift(
        make_app(dependencies),
        monitor,
        publisher,
        verdicts,
        topic,
        annotator,
        ready,
        retention,
        stream,
        certificate,
        _membership(shared, models, metrics),
    )


def _stream_monitor(
    shared: HomeostatSettings,
    settings: DriftSettings,
    keys: Keys,
    profiles: Profiles,
    pending: PendingSuspicions,
    metrics: StreamMetrics,
    models: SharedModels | None,
) -> StreamMonitor:
    reader = KafkaTopicReader(
        shared.kafka, PREDICTIONS.name, "homeostat-drift-stream", security=kafka_security(KafkaSettings())
    )
    path = shared.home / "drift" / "stream.npz"
    return StreamMonitor(
        reader,
        StreamState(profiles, settings.stream_generations, log_mismatch),
        pending,
        metrics,
        RecordMac(record_secrets(keys.prediction_log)),
        OneFile(path) if models is None else ShardFiles(path, models),
    )


def _membership(
    shared: HomeostatSettings, models: SharedModels | None, metrics: DriftMetrics
) -> Membership | None:
    if models is None:
        metrics.shards.set(SHARDS)
        return None
    group = GroupMembership(
        shared.kafka,
        PREDICTIONS.name,
        "homeostat-drift",
        f"homeostat-drift-{socket.gethostname()}-{os.getpid()}",
        security=kafka_security(KafkaSettings()),
    )
    return Membership(group, models, metrics.shards.set)


def _versions_folder(shared: HomeostatSettings, settings: DriftSettings) -> Path:
    """Where versions are unpacked; processes that share models would remove each other's."""
    folder = shared.home / "drift" / "versions"
    return folder / f"{socket.gethostname()}-{os.getpid()}" if settings.shared else folder


def _now() -> datetime:
    return datetime.now(UTC)
