"""A real Apache Kafka broker (KRaft, one node) as a child process of ours."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from local_stack.kafka.admin import create_topics, wait_for_broker
from local_stack.kafka.config_files import BrokerPlace, new_cluster_id, write_files
from local_stack.kafka.jars import ensure_jars
from local_stack.kafka.java import Java, find_java
from local_stack.ports import require_free
from local_stack.settings import LocalStackSettings
from shared.contracts import topics
from shared.errors import DependencyUnavailable, OperatorError

HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Broker:
    """A broker in a folder of its own, on ports of its own.

    `prepare` makes the folder ready, `start` runs it, `stop` ends it in good order, `kill` as a power cut would; after either
    `start` works again on the same data and the same ports.
    """

    def __init__(self, place: BrokerPlace, classpath: Sequence[Path], java: Java) -> None:
        self.place = place
        self._classpath = os.pathsep.join(str(path) for path in classpath)
        self._java = java
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Address clients connect to."""
        return f"{self.place.host}:{self.place.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        """What the broker says."""
        return self.place.folder / "broker.log"

    def command(self) -> list[str]:
        """The command line that runs the broker."""
        return [*self._program(), *HEAP, "kafka.Kafka", str(self.place.properties_file)]

    def prepare(self) -> None:
        """Write its files and, once per folder, format its storage."""
        write_files(self.place)
        if self.place.is_formatted:
            return
        arguments = [
            "format",
            "--ignore-formatted",
            "-t",
            new_cluster_id(),
            "-c",
            str(self.place.properties_file),
        ]
        done = subprocess.run(
            [*self._program(), *HEAP, "kafka.tools.StorageTool", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise OperatorError(
                f"the broker's storage in {self.place.data} could not be formatted: {_last_line(done.stderr + done.stdout)}",
                hint="look at the folder's permissions and free space",
            )

    def start(self, *, deadline_s: float = 60.0) -> None:
        """Run it and return once it answers. Raises `OperatorError` when a port is taken, it dies, or the deadline passes."""
        if self.pid is not None:
            return
        require_free(self.place.host, self.place.port, "HOMEOSTAT_BROKER_PORT")
        require_free(self.place.host, self.place.controller_port, "HOMEOSTAT_CONTROLLER_PORT")
        self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        try:
            wait_for_broker(self.bootstrap, deadline_s=deadline_s, alive=lambda: self.pid is not None)
        except DependencyUnavailable as error:
            self.kill()
            raise OperatorError(
                f"the broker did not start: {_last_line(self.log.read_text(errors='replace'))}",
                hint=f"read {self.log}",
            ) from error

    def stop(self, *, grace_s: float = 30.0) -> None:
        """End it in good order; after `grace_s` seconds by force."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def create_topics(self) -> None:
        """Create Homeostat's topics where they are missing."""
        create_topics(self.bootstrap, topics.ALL)

    def _program(self) -> list[str]:
        return [
            str(self._java.program),
            "-cp",
            self._classpath,
            f"-Dlog4j2.configurationFile={self.place.logging_file.absolute().as_uri()}",
        ]


def local_broker(
    place: BrokerPlace, settings: LocalStackSettings, *, on_progress: Callable[[str], None] = lambda _: None
) -> Broker:
    """A broker on this machine's Java and jars; fetches the jars on first use and says so through `on_progress`."""
    java = find_java(settings.java_home)
    return Broker(place, ensure_jars(settings.kafka_jars, on_progress=on_progress), java)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
