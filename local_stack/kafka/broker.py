"""An Apache Kafka broker (KRaft) as a child process."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from local_stack.kafka.admin import create_topics, wait_for_broker
from local_stack.kafka.class_archive import ClassArchive
from local_stack.kafka.config_files import BrokerFiles, new_cluster_id, write_files
from local_stack.kafka.jars import ensure_jars
from local_stack.kafka.java import Java, find_java
from local_stack.kafka.recording import end_with_parent, use_broker
from local_stack.ports import free_port, require_free
from local_stack.settings import LocalStackSettings
from shared.contracts import topics
from shared.errors import DependencyUnavailable, HomeostatError, OperatorError

HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# Counters for `jstat`, for which the JVM wakes twenty times a second.
_NO_COUNTERS = "-XX:-UsePerfData"
# The longest that each step of a broker that records its classes may take.
RECORDING_S = 60.0


class Broker:
    """A broker with its own folder and ports.

    `prepare` makes the folder ready, `start` runs it, `stop` ends it in good order, `kill` as a power cut would; after either
    `start` works again on the same data and the same ports.
    """

    def __init__(
        self,
        files: BrokerFiles,
        classpath: Sequence[Path],
        java: Java,
        classes: ClassArchive,
        recording: Sequence[str] = (),
    ) -> None:
        """`recording`: Java's options to write the archive of its classes when it ends, instead of reading it."""
        self.files = files
        self._classes = classes
        self._recording = tuple(recording)
        self._classpath = os.pathsep.join(str(path) for path in classpath)
        self._java = java
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients."""
        return f"{self.files.host}:{self.files.port}"

    @property
    def pid(self) -> int | None:
        """Its pid while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        """The broker's log file."""
        return self.files.folder / "broker.log"

    def command(self) -> list[str]:
        """The broker's command line."""
        options = self._recording or self._classes.reading()
        return [*self._program(), *options, "kafka.Kafka", str(self.files.properties_file)]

    def prepare(self) -> None:
        """Write its files; format its storage the first time, and record its classes if no broker has done so."""
        write_files(self.files)
        # A broker without the archive does all the same, a third slower.
        with (
            suppress(HomeostatError, OSError, subprocess.SubprocessError),
            self._classes.writing() as options,
        ):
            if options and not self._recording:
                self._record_classes(options)
        if self.files.is_formatted:
            return
        done = self._format()
        if done.returncode != 0:
            raise OperatorError(
                f"the broker's storage in {self.files.data} could not be formatted: {_last_line(done.stderr + done.stdout)}",
                hint="check the folder's permissions and free space",
            )

    def _record_classes(self, options: Sequence[str]) -> None:
        """Run a broker in a temporary folder, which writes the archive when it ends. Raises `OperatorError` if it was killed."""
        with tempfile.TemporaryDirectory(prefix="homeostat-kafka-") as folder:
            classpath = [Path(path) for path in self._classpath.split(os.pathsep)]
            files = BrokerFiles(Path(folder), free_port(), free_port(), self.files.host)
            broker = Broker(files, classpath, self._java, self._classes, options)
            try:
                broker.start(deadline_s=RECORDING_S)
                broker.create_topics()
                use_broker(broker.bootstrap, timeout_s=RECORDING_S)
                process = broker._process
            finally:
                broker.stop(grace_s=RECORDING_S)
        if process is None or process.returncode < 0:
            raise OperatorError(
                "the broker that records its classes was killed",
                hint="free memory; the next start tries again",
            )

    def _format(self) -> subprocess.CompletedProcess[str]:
        cluster = self.files.cluster_id or new_cluster_id()
        tool = ("kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster)
        return subprocess.run(
            [*self._program(), *self._classes.reading(), *tool, "-c", str(self.files.properties_file)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *, deadline_s: float = 60.0) -> None:
        """Start it and wait until it responds. Raises `OperatorError` if a port is taken, it exits, or the deadline passes."""
        if self.pid is not None:
            return
        require_free(self.files.host, self.files.port, "HOMEOSTAT_BROKER_PORT")
        require_free(self.files.host, self.files.controller_port, "HOMEOSTAT_CONTROLLER_PORT")
        self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=end_with_parent if self._recording else None,
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
        """Stop it with SIGTERM; after `grace_s` seconds with SIGKILL."""
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
        """Kill it (SIGKILL)."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def create_topics(self, *, replication: int = 0) -> None:
        """Create Homeostat's missing topics, with so many copies; 0: one on each broker, at most three."""
        create_topics(self.bootstrap, topics.ALL, replication=replication)

    def _program(self) -> list[str]:
        return [
            str(self._java.program),
            *HEAP,
            _NO_COUNTERS,
            "-cp",
            self._classpath,
            f"-Dlog4j2.configurationFile={self.files.logging_file.absolute().as_uri()}",
        ]


def local_broker(
    files: BrokerFiles, settings: LocalStackSettings, *, on_progress: Callable[[str], None] = lambda _: None
) -> Broker:
    """A broker with this machine's Java and jars; downloads the jars on first use and reports it to `on_progress`."""
    java = find_java(settings.java_home)
    jars = ensure_jars(settings.kafka_jars, on_progress=on_progress)
    return Broker(files, jars, java, ClassArchive(settings.kafka_jars, java.program, jars))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
