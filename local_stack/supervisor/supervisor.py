"""The supervisor: starts the broker and the services, restarts them, and stops them in order."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from local_stack.kafka.admin import wait_for_broker
from local_stack.kafka.broker import Broker, local_broker
from local_stack.kafka.config_files import BrokerFiles
from local_stack.observability.processes import Observability
from local_stack.ports import require_free
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state, remove_state, write_state
from local_stack.supervisor.child_process import Child
from local_stack.supervisor.exit_watch import ExitWatch
from local_stack.supervisor.lock import only_one
from local_stack.supervisor.orphans import stop_orphans
from local_stack.supervisor.process_specs import BROKER, ProcessSpec, environment, services, urls
from local_stack.supervisor.restart_policy import stop_order
from local_stack.supervisor.restart_suppression import is_suppressed
from shared.access.installation_keys import ensure_installation_keys
from shared.access.key_file import key_file_path
from shared.contracts.stack_state import StackState
from shared.errors import HomeostatError
from shared.models.signed_versions.installation_keys import ensure_keys

# Exits end the wait between two checks. A restart that is due, or suppressed, waits a tenth of a second at least.
TICK_S = 1.0
SHORTEST_TICK_S = 0.1
GRACE_S = 20.0
TOPICS_PAUSE_S = 2.0


class Supervisor:
    """Runs one stack below `settings.home` until `stop` is called.

    `specs` are the processes beside the broker (default: the services), `observability` adds Prometheus and Alertmanager.
    `on_progress` receives one sentence per event.
    """

    def __init__(
        self,
        settings: LocalStackSettings,
        *,
        specs: Sequence[ProcessSpec] | None = None,
        observability: Observability | None = None,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._specs = services(settings) if specs is None else list(specs)
        self._observability = observability
        if observability is not None:
            self._specs += observability.specs
        self._home = settings.home.absolute()
        self._on_progress = on_progress
        self._children: list[Child] = []
        self._reported: set[str] = set()
        self._is_written = True
        self._stopping = threading.Event()
        self._exits = ExitWatch()
        self._topics_made = threading.Event()
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")

    def stop(self) -> None:
        """Make `run` stop all processes and return; safe in a signal handler."""
        self._stopping.set()
        self._exits.wake()

    def run(self) -> None:
        """Run the stack until `stop`. Raises `Conflict` if one runs already, `OperatorError` if it cannot start.

        1. Take the lock of this home.
        2. Stop the processes of an earlier supervisor, newest first, which frees their ports.
        3. Check that every port is free; write keys, folders and the broker's files.
        4. Start the broker and the processes that do not need it; once the topics exist, the others.
        5. Restart a process that exits after a pause; write each change to the state file.
        6. At the end stop the last started process first; remove the state file last.
        """
        with only_one(self._home):
            self._stop_orphans()
            self._require_ports()
            self._make_folders()
            broker = self._prepared_broker()
            try:
                if not self._stopping.is_set():
                    self._start_all(broker)
                while not self._stopping.is_set():
                    self._check_all()
                    self._exits.wait(self._running_pids(), self._pause())
            finally:
                self._stopping.set()
                self._stop_all()
                remove_state(self._home)

    def _stop_orphans(self) -> None:
        found = read_state(self._home)
        if found is not None:
            stopped = stop_orphans(found.processes)
            if stopped:
                self._on_progress(f"stopped processes left by an earlier supervisor: {', '.join(stopped)}")
            remove_state(self._home)

    def _require_ports(self) -> None:
        settings = self._settings
        require_free(settings.host, settings.broker_port, "HOMEOSTAT_BROKER_PORT")
        require_free(settings.host, settings.controller_port, "HOMEOSTAT_CONTROLLER_PORT")
        for spec in self._specs:
            require_free(settings.host, spec.port, spec.setting)

    def _make_folders(self) -> None:
        (self._home / "logs").mkdir(parents=True, exist_ok=True)
        ensure_keys(self._home)
        ensure_installation_keys(self._home, key_file_path(self._settings))
        if self._observability is not None:
            self._observability.write()

    def _prepared_broker(self) -> Broker:
        settings = self._settings
        place = BrokerFiles(
            self._home / "kafka",
            port=settings.broker_port,
            controller_port=settings.controller_port,
            host=settings.host,
        )
        broker = local_broker(place, settings, on_progress=self._on_progress)
        broker.prepare()
        return broker

    def _start_all(self, broker: Broker) -> None:
        settings = self._settings
        environ = environment(settings, os.environ)
        broker_spec = ProcessSpec(
            BROKER,
            tuple(broker.command()),
            settings.broker_port,
            "HOMEOSTAT_BROKER_PORT",
            "",
            needs_broker=False,
        )
        for spec in [broker_spec, *self._specs]:
            self._children.append(
                Child(spec, {**spec.environment, **environ}, self._log(spec.name), settings.host)
            )
        for child in self._children:
            if not child.spec.needs_broker and child.spec.is_core:
                child.start()
        self._write()
        threading.Thread(target=self._make_topics, args=(broker,), name="topics", daemon=True).start()

    def _make_topics(self, broker: Broker) -> None:
        while not self._stopping.is_set():
            with suppress(HomeostatError, OSError):
                wait_for_broker(broker.bootstrap, deadline_s=10.0, alive=lambda: not self._stopping.is_set())
                broker.create_topics()
                self._topics_made.set()
                self._exits.wake()
                return
            self._stopping.wait(TOPICS_PAUSE_S)

    def _running_pids(self) -> list[int]:
        states = [child.state() for child in self._children if child.restarts.due is None]
        return [state.pid for state in states if state is not None]

    def _pause(self) -> float:
        """Until the next check: the next restart that is due, or TICK_S."""
        now = time.monotonic()
        due = [child.restarts.due - now for child in self._children if child.restarts.due is not None]
        return max(SHORTEST_TICK_S, min([TICK_S, *due]))

    def _check_all(self) -> None:
        now = time.monotonic()
        changed = False
        for child in self._children:
            try:
                changed |= self._check(child, now)
            except OSError as error:
                # Probably a full disk: retried at the next check, and the other processes keep running.
                self._report_once(f"{child.spec.name} cannot be started: {error}")
        if changed or not self._is_written:
            self._write()

    def _check(self, child: Child, now: float) -> bool:
        """Start it once it may start, or restart it after an exit. Returns whether something changed."""
        if not child.was_started:
            if self._topics_made.is_set() or not child.spec.needs_broker:
                child.start()
            return child.was_started
        was_running = child.restarts.due is None
        if not was_running and is_suppressed(self._home, child.spec.name):
            return False  # kept down by fault injection
        changed = child.tend(now)
        if changed and was_running:
            self._on_progress(f"{child.spec.name} exited with status {child.exit_status}; restarting it")
        return changed

    def _stop_all(self) -> None:
        by_name = {child.spec.name: child for child in self._children}
        for name in stop_order(list(by_name)):
            by_name[name].stop(grace_s=GRACE_S)

    def _write(self) -> None:
        try:
            write_state(self._home, self._state())
            self._is_written = True
        except OSError as error:  # a full disk must not stop the running processes
            self._is_written = False
            self._report_once(f"the state file cannot be written: {error}")

    def _report_once(self, text: str) -> None:
        """Report each problem once, not at every check."""
        if text not in self._reported:
            self._reported.add(text)
            self._on_progress(text)

    def _state(self) -> StackState:
        settings = self._settings
        states = [child.state() for child in self._children]
        ports = {child.spec.name: child.spec.port for child in self._children}
        return StackState(
            pid=os.getpid(),
            created=psutil.Process().create_time(),
            home=str(self._home),
            kafka=f"{settings.host}:{settings.broker_port}",
            started_at=self._started_at,
            ports={**ports, "controller": settings.controller_port},
            urls=urls(settings) | dict(self._observability.links if self._observability is not None else {}),
            processes=tuple(state for state in states if state is not None),
        )

    def _log(self, name: str) -> Path:
        return self._home / "logs" / f"{name}.log"
