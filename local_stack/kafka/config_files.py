"""Configuration files of a KRaft node that is broker and controller, alone or in a cluster: properties and logging."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOGGING = """\
status = warn
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.start.name = kafka.server
logger.start.level = info
"""


@dataclass(frozen=True)
class BrokerFiles:
    """The broker's `folder` with its files, the `host` it listens on, the `port` for clients and the `controller_port`.

    In a cluster, `node_id` is its own, `cluster_id` that of all, and `controllers` the addresses of the controllers by node id.
    """

    folder: Path
    port: int
    controller_port: int
    host: str = "127.0.0.1"
    node_id: int = 1
    cluster_id: str = ""
    controllers: Mapping[int, str] = field(default_factory=dict)

    @property
    def properties_file(self) -> Path:
        """Its server.properties."""
        return self.folder / "server.properties"

    @property
    def logging_file(self) -> Path:
        """Its log4j2 configuration."""
        return self.folder / "log4j2.properties"

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    @property
    def is_formatted(self) -> bool:
        """Whether the data folder is formatted."""
        return (self.data / "meta.properties").is_file()


def properties(files: BrokerFiles) -> str:
    """Text of server.properties: a node that is broker and controller, sized for a shared machine.

    Its internal topics have up to three copies, and so have new topics that name no number.
    """
    controllers = dict(files.controllers) or {files.node_id: f"{files.host}:{files.controller_port}"}
    copies = min(3, len(controllers))
    in_sync = str(minimum_in_sync(copies) or 1)
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(files.node_id),
        "controller.quorum.voters": ",".join(f"{number}@{place}" for number, place in controllers.items()),
        "listeners": f"PLAINTEXT://{files.host}:{files.port},CONTROLLER://{files.host}:{files.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{files.host}:{files.port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(files.data.absolute()),
        "offsets.topic.replication.factor": str(copies),
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": str(copies),
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        # By default an idle controller writes an empty record twice a second.
        "metadata.max.idle.interval.ms": "5000",
        # After a kill the controller refuses the broker until the session of the killed one is over: by default nine seconds.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        # Retention counts from arrival: otherwise a replay of last year would lose its segments at once.
        "log.message.timestamp.type": "LogAppendTime",
        "message.max.bytes": str(8 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    }
    if copies > 1:
        settings |= {"default.replication.factor": str(copies), "min.insync.replicas": in_sync}
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def minimum_in_sync(copies: int) -> int:
    """Copies that must have a record before it counts as delivered: a majority of three or more; 0 for the brokers' default.

    A broker that is lost then neither loses records nor keeps others from being written; with two copies it would do either.
    """
    return copies // 2 + 1 if copies >= 3 else 0


def write_files(files: BrokerFiles) -> None:
    """Write both files; existing data is kept."""
    files.folder.mkdir(parents=True, exist_ok=True)
    files.properties_file.write_text(properties(files))
    files.logging_file.write_text(LOGGING)


def new_cluster_id() -> str:
    """A cluster id as the broker wants it: 16 random bytes in url-safe base64 without padding.

    None begins with a dash: the broker's formatting tool would take it for an option.
    """
    while True:
        found = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not found.startswith("-"):
            return found
