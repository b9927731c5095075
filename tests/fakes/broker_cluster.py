"""Three real brokers on this machine, each a controller too: a cluster that one of them may leave."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kafka.admin import KafkaAdminClient
from kafka.partitioner.default import murmur2

from local_stack.kafka.broker import Broker, local_broker
from local_stack.kafka.config_files import BrokerFiles, new_cluster_id
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings

NODES = (1, 2, 3)


class BrokerCluster:
    """Brokers by node id, below `folder`."""

    def __init__(self, folder: Path) -> None:
        cluster = new_cluster_id()
        ports = {node: (free_port(), free_port()) for node in NODES}
        controllers = {node: f"127.0.0.1:{controller}" for node, (_, controller) in ports.items()}
        self.brokers: dict[int, Broker] = {
            node: local_broker(
                BrokerFiles(
                    folder / str(node),
                    port,
                    controller,
                    node_id=node,
                    cluster_id=cluster,
                    controllers=controllers,
                ),
                LocalStackSettings(),
            )
            for node, (port, controller) in ports.items()
        }

    @property
    def bootstrap(self) -> str:
        """Addresses for clients, comma separated."""
        return ",".join(broker.bootstrap for broker in self.brokers.values())

    def start(self, *nodes: int) -> None:
        """Start brokers side by side, all by default: none responds before a majority of the controllers runs."""
        with ThreadPoolExecutor(len(NODES)) as threads:
            list(threads.map(lambda node: self.brokers[node].start(), nodes or NODES))

    def leader(self, topic: str, key: str) -> int:
        """The node that leads the partition in which records with this key are."""
        with self._admin() as admin:
            [found] = admin.describe_topics([topic])
        partitions = {one["partition_index"]: one["leader_id"] for one in found["partitions"]}
        return int(partitions[(murmur2(key.encode()) & 0x7FFFFFFF) % len(partitions)])

    def shares(self, group: str) -> list[int]:
        """The number of partitions of each member of a consumer group that has some."""
        with self._admin() as admin:
            members = admin.describe_groups([group])[group]["members"]
        assigned = [member["member_assignment"] or {} for member in members]
        counts = [
            sum(len(topic["partitions"]) for topic in one.get("assigned_partitions", ())) for one in assigned
        ]
        return [count for count in counts if count]

    def _admin(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=self.bootstrap.split(","))

    def close(self) -> None:
        """End all; their data is not kept."""
        for broker in self.brokers.values():
            broker.kill()
