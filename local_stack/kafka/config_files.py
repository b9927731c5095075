"""Configuration files of a single-node KRaft broker: properties and logging."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
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
    """The broker's `folder` with its files, the `host` it listens on, the `port` for clients and the `controller_port`."""

    folder: Path
    port: int
    controller_port: int
    host: str = "127.0.0.1"

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
    """Text of server.properties: one node that is broker and controller, sized for a shared machine."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{files.host}:{files.controller_port}",
        "listeners": f"PLAINTEXT://{files.host}:{files.port},CONTROLLER://{files.host}:{files.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{files.host}:{files.port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(files.data.absolute()),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
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
    return "".join(f"{name}={value}\n" for name, value in settings.items())


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
