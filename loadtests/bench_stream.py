"""What stream detection costs and how fresh it is: a real broker, the real drift service, two features.

`python -m loadtests.bench_stream` prints one plain line; exit status 1 if an idle service needs more than 1 % of a core, or if
p99 is above 2 s. `idle_core_percent`: CPU time without traffic for a minute. `p50_s`, `p99_s`: from a record's Kafka timestamp
until its rows are in the metrics, at 5,000 rows per second for 20 s, from the service's own histogram.
"""

from __future__ import annotations

import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from local_stack.kafka.broker import local_broker
from local_stack.kafka.config_files import BrokerFiles
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from shared.contracts.topics import PREDICTIONS
from shared.messaging.interfaces import Producer
from shared.messaging.producer import open_producer
from shared.messaging.record_mac import RecordMac
from shared.models.signed_versions.key_files import record_secrets
from tests.fakes.prediction_stream import PredictionStream
from tests.integration.drift.processes import Process, eventually
from tests.unit.services.drift.world import World, loop, ordinary

IDLE_S = 60
ROWS_PER_SECOND, RECORDS_PER_SECOND, BUSY_S = 5000, 10, 20
HISTOGRAM = "homeostat_drift_stream_event_to_metric_seconds"


def main() -> int:
    """Measure and print."""
    os.environ.setdefault("HOMEOSTAT_ANONYMOUS_ACCESS", "true")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        broker = local_broker(
            BrokerFiles(home / "kafka", port=free_port(), controller_port=free_port()), LocalStackSettings()
        )
        broker.start()
        try:
            broker.create_topics()
            line, met = measure(home / "home", broker.bootstrap)
        finally:
            broker.stop()
    print(line)
    return 0 if met else 1


def measure(home: Path, bootstrap: str) -> tuple[str, bool]:
    """The line, and whether the limits are met."""
    home.mkdir()
    world = World(home)
    manifest = world.version(loop(), ordinary(5000, 1))
    world.release(manifest)
    source = PredictionStream(
        "toy", manifest.version, manifest.features, 1, RecordMac(record_secrets(world.keys.prediction_log))
    )
    producer = open_producer(bootstrap, "bench-stream")
    drift = Process(home, bootstrap, HOMEOSTAT_DRIFT_POLL_SECONDS="0.5")
    try:
        polled = "homeostat_drift_stream_last_poll_timestamp_seconds"
        eventually(lambda: drift.metrics().get(polled, 0) > 0, "the topic is read")
        time.sleep(2)
        before, begun = cpu_seconds(drift.child.pid), time.monotonic()
        time.sleep(IDLE_S)
        idle = (cpu_seconds(drift.child.pid) - before) / (time.monotonic() - begun)
        rows, busy = send(drift, producer, source)
        series = 'homeostat_drift_stream_rows_total{model="toy"}'
        eventually(lambda: drift.metrics().get(series, 0) >= rows, "every row is counted")
        metrics = drift.metrics()
    finally:
        producer.close()
        drift.end()
    late = quantile(metrics, 0.99)
    line = (
        f"bench-stream: idle_core_percent={100 * idle:.2f} rows_per_s={rows / BUSY_S:.0f} "
        f"busy_core_percent={100 * busy:.1f} p50_s={quantile(metrics, 0.5):.2f} p99_s={late:.2f} "
        f"records={metrics[f'{HISTOGRAM}_count']:.0f} load={os.getloadavg()[0]:.1f}"
    )
    return line, idle <= 0.01 and late <= 2


def send(drift: Process, producer: Producer, source: PredictionStream) -> tuple[int, float]:
    """Send at the rate; the rows sent, and the share of a core that the service used."""
    size = ROWS_PER_SECOND // RECORDS_PER_SECOND
    columns = ordinary(size, 5)
    before, begun, sent = cpu_seconds(drift.child.pid), time.monotonic(), 0
    while (passed := time.monotonic() - begun) < BUSY_S:
        if sent >= passed * ROWS_PER_SECOND:
            time.sleep(0.005)
            continue
        now = datetime.now(UTC)
        times = [now + timedelta(microseconds=place) for place in range(size)]
        key, value, headers = source.record(source.batch({**columns, "event_time": times}))
        producer.send(PREDICTIONS.name, key, value, headers)
        sent += size
    producer.flush(30)
    return sent, (cpu_seconds(drift.child.pid) - before) / (time.monotonic() - begun)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantile(metrics: dict[str, float], share: float) -> float:
    """A quantile of the histogram, linear within a bucket, as Prometheus does."""
    buckets = sorted(
        (float(series.split('"')[1].replace("+Inf", "inf")), count)
        for series, count in metrics.items()
        if series.startswith(f"{HISTOGRAM}_bucket")
    )
    rank, low, below = share * buckets[-1][1], 0.0, 0.0
    for limit, count in buckets:
        if count >= rank and count > below:
            return limit if np.isinf(limit) else low + (limit - low) * (rank - below) / (count - below)
        low, below = limit, count
    return float("nan")


if __name__ == "__main__":
    raise SystemExit(main())
