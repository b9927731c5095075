"""The one place that chooses real implementations for shipper and sink."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from threading import Event as Flag

from prometheus_client import CollectorRegistry

from services.prediction_log.metrics import ShipperMetrics, SinkMetrics
from services.prediction_log.settings import ShipperSettings, SinkSettings
from services.prediction_log.shipper.shipper import Shipper
from services.prediction_log.sink.progress import TOPICS
from services.prediction_log.sink.sink import Sink
from services.prediction_log.sink.table_properties import Retention
from shared.access.authenticator import open_authenticator
from shared.errors import HomeostatError
from shared.http.metrics_server import MetricsServer
from shared.messaging.consumer import open_consumer
from shared.messaging.handling_journal import open_journal
from shared.messaging.producer import open_producer
from shared.messaging.record_mac import AuthenticatingProducer, RecordMac
from shared.messaging.security.kafka_security import kafka_security
from shared.messaging.security.settings import KafkaSettings
from shared.models.signed_versions.key_files import PREDICTION_LOG, record_secrets
from shared.observability.logs import configure_logs, get_logger
from shared.settings import HomeostatSettings
from shared.stores.lake import Lake
from shared.tls.server_certificate import server_certificate
from shared.tls.settings import TlsSettings


def run_shipper() -> int:
    """Run the shipper until SIGTERM or SIGINT; the exit code."""
    base, settings = HomeostatSettings(), ShipperSettings()
    configure_logs("shipper", base)
    registry = CollectorRegistry()
    mac = _record_mac(base)
    producer = AuthenticatingProducer(
        open_producer(
            base.kafka,
            "homeostat-shipper",
            request_bytes=settings.record_bytes * 2,
            delivery_seconds=settings.delivery_seconds,
            security=kafka_security(KafkaSettings()),
        ),
        mac,
    )
    shipper = Shipper(
        base.home / "spool",
        producer,
        ShipperMetrics(registry),
        batch_rows=settings.batch_rows,
        batch_seconds=settings.batch_seconds,
        record_bytes=settings.record_bytes,
        delivery_seconds=settings.delivery_seconds,
        drain_seconds=settings.drain_seconds,
    )

    status = partial(status_body, "shipper", shipper)
    return _run("shipper", registry, settings.host, settings.port, status, shipper.run, producer.close, base)


def run_sink() -> int:
    """Run the sink until SIGTERM or SIGINT; the exit code."""
    base, settings = HomeostatSettings(), SinkSettings()
    configure_logs("sink", base)
    registry = CollectorRegistry()
    security = kafka_security(KafkaSettings())
    consumer = open_consumer(base.kafka, TOPICS, settings.group, "homeostat-sink", security=security)
    mac = _record_mac(base)
    producer = AuthenticatingProducer(open_producer(base.kafka, "homeostat-sink", security=security), mac)
    sink = Sink(
        consumer,
        producer,
        Lake(base.lake_url),
        SinkMetrics(registry),
        mac,
        open_journal(base.home / "run", "sink"),
        commit_seconds=settings.commit_seconds,
        commit_records=settings.commit_records,
        maximum_record_bytes=settings.maximum_record_bytes,
        compact_commits=settings.compact_commits,
        hold=timedelta(hours=settings.hold_hours),
        keep=timedelta(days=settings.keep_days) if settings.keep_days else None,
        retention=Retention(timedelta(days=settings.retention_days), timedelta(hours=settings.log_hours)),
    )

    def close() -> None:
        consumer.close()
        producer.close()

    status = partial(status_body, "sink", sink)
    return _run("sink", registry, settings.host, settings.port, status, sink.run, close, base)


def status_body(service: str, process: Shipper | Sink) -> dict[str, object]:
    """The body of `/status`."""
    return {"service": service, "ready": True, "last_error": process.last_error}


def _record_mac(settings: HomeostatSettings) -> RecordMac:
    """Raises OperatorError."""
    return RecordMac(record_secrets(settings.home / "keys" / PREDICTION_LOG))


def _collect_seldom() -> None:
    """Let Python look for cycles seldom: a batch is millions of objects without any, and each look would visit all of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


def _run(
    name: str,
    registry: CollectorRegistry,
    host: str,
    port: int,
    status: Callable[[], dict[str, object]],
    work: Callable[[Flag], None],
    close: Callable[[], None],
    base: HomeostatSettings,
) -> int:
    """Start the metrics server, work until SIGTERM or SIGINT, then close everything; the exit code."""
    log = get_logger(name)
    _collect_seldom()
    stop = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        certificate = server_certificate(TlsSettings())
        metrics_server = MetricsServer(
            registry,
            host,
            port,
            status,
            service=name,
            authenticator=open_authenticator(base, host),
            certificate=certificate,
        )
    except HomeostatError as error:
        log.error("cannot_start", error=str(error))
        return 1
    metrics_server.start()
    log.info("started", port=metrics_server.port)
    try:
        work(stop)
    finally:
        metrics_server.stop()
        close()
    log.info("stopped")
    return 0
