"""Three brokers with three copies of each topic, two sinks: one broker may die, and two may for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.kafka.admin import topic_copies
from shared.contracts import topics
from tests.fakes.broker_cluster import NODES, BrokerCluster
from tests.fakes.log_processes import LogProcesses
from tests.waiting import time_factor

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
CONNECTED = "homeostat_shipper_kafka_up"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[BrokerCluster]:
    cluster = BrokerCluster(tmp_path / "kafka")
    try:
        cluster.start()
        cluster.brokers[1].create_topics(replication=3)
        yield cluster
    finally:
        cluster.close()


def test_dead_brokers_lose_no_row_and_repeat_none(cluster: BrokerCluster, tmp_path: Path) -> None:
    """1. Two sinks share the partitions. 2. The leader dies: rows go on. 3. Another dies: the spool keeps them. 4. Both run."""
    assert topic_copies(cluster.bootstrap) == {topic.name: 3 for topic in topics.ALL}
    log = LogProcesses(tmp_path, cluster.bootstrap, rows_per_second=300)
    other = log.other_machine()
    try:
        log.start("load", "shipper", "sink")
        other.start("sink")
        log.wait_for(lambda: len(cluster.shares(log.model)) == 2, "both sinks have partitions")
        read = [topic.partitions for topic in topics.ALL if topic != topics.VERDICTS]
        assert sum(cluster.shares(log.model)) == sum(read)
        log.wait_for(lambda: len(log.in_lake()) > 200, "rows are in the lake")

        # All rows of the load are in one partition.
        [writer] = [path.name for path in (log.home / "spool").iterdir() if path.is_dir()]
        first = cluster.leader(topics.PREDICTIONS.name, writer)
        cluster.brokers[first].kill()
        before = len(log.listed("answered"))
        log.wait_for(lambda: len(log.in_lake()) > before, "rows answered after the death are in the lake")
        log.wait_for(lambda: log.metric("shipper", CONNECTED) == 1, "the shipper is connected")

        # The leader alone is left: it must not acknowledge what nobody else has.
        left = cluster.leader(topics.PREDICTIONS.name, writer)
        [second] = set(NODES) - {first, left}
        cluster.brokers[second].kill()
        log.wait_for(lambda: log.metric("shipper", CONNECTED) == 0, "the shipper notices the second death")
        before = len(log.listed("answered"))
        time.sleep(3 * time_factor())
        # Nothing is delivered; everything is answered and stays on the spool.
        since = set(log.listed("answered")[before:])
        assert len(since) > 200
        assert since & set(log.in_lake()) == set()

        cluster.start(first, second)
        log.kill("load")
        log.start("load")
        log.stop("load")
        log.wait_until_settled(90)
        log.stop()
        other.stop()
    finally:
        log.close()
        other.close()
    log.check_conservation(kills_of_load=1)
