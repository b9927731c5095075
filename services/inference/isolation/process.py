"""Starts the isolated process, sends it work within a time limit, and ends it where that limit is broken."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from services.inference.isolation.engine import IsolatedEngine
from services.inference.isolation.frames import PeerGone, receive, send
from services.inference.isolation.memory import available_bytes
from services.inference.runtimes.engines import EngineOptions
from shared.errors import HomeostatError, OperatorError, UnservableModel

_CHECK_SECONDS = 0.2
_START_SECONDS = 60.0  # imports, on a busy machine
# Of the memory that is available, a new version may use so much: the server and its clients need the rest.
_SHARE_OF_AVAILABLE = 0.75


class IsolatedProcess:
    """Loads models outside this process, one at a time. The process is started when needed, and again after a fault.

    For one thread at a time; `close` may be called from another one. The process serves several versions after each other, and
    ends by itself when it has had nothing to do for a while.
    """

    def __init__(
        self,
        *,
        device: str,
        threads: int,
        seconds: float,
        memory_bytes: int,
        program_replaced: Callable[[], bool] = lambda: False,
    ) -> None:
        """`seconds`: for everything that is done with one model. `memory_bytes`: for it; 0 is most of what is available.

        `program_replaced`: whether the process would run other files than this server; asked where it does not work.
        """
        self._device = device
        self._threads = threads
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._program_replaced = program_replaced
        self._child: subprocess.Popen[bytes] | None = None
        self._peer: socket.socket | None = None
        self._deadline = 0.0
        self._is_wanted: Callable[[], bool] = lambda: True
        self._tensorrt = False
        self._closed = False

    @contextmanager
    def open(
        self, name: str, model: bytes, options: EngineOptions, is_wanted: Callable[[], bool]
    ) -> Iterator[IsolatedEngine]:
        """The model of a file, loaded in the process. Raises UnservableModel, also when `is_wanted` says no while it waits."""
        self._is_wanted, self._tensorrt = is_wanted, options.form.tensorrt
        if self._child is None or self._child.poll() is not None:
            self._start()
        self._deadline = time.monotonic() + self._seconds
        memory_bytes = self._memory_bytes or int(_SHARE_OF_AVAILABLE * available_bytes())
        try:
            head = {"name": name, "memory_bytes": memory_bytes, "options": options.dump()}
            loaded, _ = self._ask("load", head, [memoryview(model)])
            try:
                engine = IsolatedEngine(loaded, options.form, self._ask)
            except (KeyError, TypeError, ValueError) as error:
                raise self._not_understood(f"{type(error).__name__}: {error}") from error
            yield engine
        finally:
            # The next model gets its memory back; where that fails, the next start does.
            if self._peer is not None:
                with suppress(HomeostatError):
                    self._ask("unload", {}, [])

    def close(self) -> None:
        """End the process, and start none any more. A thread that waits for it gets UnservableModel."""
        self._closed = True
        child = self._child
        if child is not None:
            # Its socket is left to that thread: a number that was closed may be another connection's by now.
            child.kill()
            child.wait()

    def _end(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _ask(
        self, do: str, head: Mapping[str, Any], body: list[memoryview]
    ) -> tuple[dict[str, Any], memoryview]:
        """Send work and wait for its result. Raises UnservableModel; the process is then ended if it did not answer."""
        if self._closed:
            raise _stopping()
        if self._peer is None:
            raise UnservableModel("the isolated process has ended")
        try:
            send(self._peer, {"do": do, **head}, body, self._check)
            reply, parts = receive(self._peer, self._check)
        except PeerGone as error:
            raise self._crashed(do) from error
        if reply.get("unknown") and self._program_replaced():
            raise self._not_understood(reply["error"])
        if "error" in reply:
            raise UnservableModel(reply["error"], hint=reply["hint"])
        return reply, parts

    def _check(self) -> None:
        """Called while the process works."""
        if time.monotonic() > self._deadline:
            self._end()
            cause = "TensorRT can take minutes" if self._tensorrt else "check the model for an endless loop"
            raise UnservableModel(
                f"loading and probing the version took longer than {self._seconds:g} s",
                hint=f"{cause}; HOMEOSTAT_INFERENCE_CANDIDATE_SECONDS is the limit",
            )
        if not self._is_wanted():
            self._end()
            raise UnservableModel("a newer release replaced this one while it was being loaded")

    def _check_start(self) -> None:
        """Called while the process starts."""
        if time.monotonic() > self._deadline:
            self._end()
            raise OperatorError(
                f"the isolated process for new versions did not start within {_START_SECONDS:g} s",
                hint="the machine may be overloaded; the server tries again",
            )

    def _not_understood(self, problem: str) -> UnservableModel:
        """The process and this server do not understand each other."""
        if not self._program_replaced():
            return UnservableModel(f"the isolated process for new versions failed: {problem}")
        return UnservableModel(
            "the program files of this server were replaced while it runs, so that it cannot try new versions; the isolated "
            f"process for them failed: {problem}",
            hint="restart the server",
        )

    def _crashed(self, do: str) -> UnservableModel:
        if self._closed:
            self._end()
            return _stopping()
        code = None
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                code = self._child.wait(timeout=1)
        self._end()
        how = f"with exit status {code}" if code is not None else "without a status"
        if code is not None and code < 0:
            how = f"by {signal.Signals(-code).name}"
        if code is not None and code > 0 and self._program_replaced():
            return self._not_understood(f"it ended {how}")
        what = "loading the model" if do == "load" else "running the model on reference rows"
        return UnservableModel(
            f"{what} crashed: the isolated process was ended {how}",
            hint="to reproduce it, score rows of reference.parquet with the same runtime in a separate process",
        )

    def _start(self) -> None:
        self._end()
        if self._closed:
            raise _stopping()
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "services.inference.isolation",
                    str(theirs.fileno()),
                    self._device,
                    str(self._threads),
                ],
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the server
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        ours.settimeout(_CHECK_SECONDS)
        self._peer = ours
        self._deadline = time.monotonic() + _START_SECONDS
        try:
            receive(ours, self._check_start)  # it is ready; its imports are not the model's fault
        except PeerGone as error:
            self._end()
            if self._closed:
                raise _stopping() from error
            if self._program_replaced():
                raise self._not_understood("it does not start") from error
            raise OperatorError(
                "the isolated process for new versions does not start",
                hint="its error is in the log of the server",
            ) from error


def _stopping() -> UnservableModel:
    return UnservableModel("the server is being stopped")
