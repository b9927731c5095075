"""Starts an isolated process, sends it work within a time limit, and ends it where that limit is broken."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from shared.errors import HomeostatError, OperatorError, UnservableModel
from shared.models.isolation.available_memory import available_bytes
from shared.models.isolation.frames import PeerGone, receive, send
from shared.models.isolation.isolated_engine import Ask
from shared.models.isolation.wording import Wording

_CHECK_SECONDS = 0.2
_START_SECONDS = 60.0  # imports, on a busy machine


class ModelProcess:
    """Loads models outside this process, one at a time. The process is started when needed, and again after a fault.

    For one thread at a time; `close` may be called from another one. The process serves several models after each other, and
    ends by itself when it has had nothing to do for a while, or when the thread that started it ends.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        seconds: float,
        memory_bytes: int,
        share_of_available: float,
        program_replaced: Callable[[], bool] = lambda: False,
    ) -> None:
        """`module`: it is run with the number of a socket and the `arguments`.

        `seconds`: for everything that is done with one model. `memory_bytes`: for it; 0 is `share_of_available` memory.
        `program_replaced`: whether the process would run other files than this one; asked where it does not work.
        """
        self._module = module
        self._arguments = tuple(arguments)
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._share_of_available = share_of_available
        self._program_replaced = program_replaced
        self._child: subprocess.Popen[bytes] | None = None
        self._peer: socket.socket | None = None
        self._deadline = 0.0
        self._left = 0.0
        self._limit = 0
        self._check_wanted: Callable[[], None] = lambda: None
        self._wording: Wording
        self._closed = False

    @contextmanager
    def load(
        self,
        name: str,
        model: bytes | Path,
        options: Mapping[str, Any],
        wording: Wording,
        check_wanted: Callable[[], None],
    ) -> Iterator[tuple[dict[str, Any], Ask]]:
        """The reply of the process that has loaded the model, and the function that sends it work.

        A model that is given by its path is read in the process only. `check_wanted` is called while this waits, and raises to
        give up. Raises UnservableModel.
        """
        self._wording, self._check_wanted = wording, check_wanted
        if self._child is None or self._child.poll() is not None:
            self._start()
        self._left = self._seconds
        self._limit = self._memory_bytes or int(self._share_of_available * available_bytes())
        try:
            head = {"name": name, "memory_bytes": self._limit, "options": dict(options)}
            if isinstance(model, Path):
                loaded, _ = self._ask("load", {**head, "path": str(model.absolute())}, [])
            else:
                loaded, _ = self._ask("load", head, [memoryview(model)])
            yield loaded, self._ask
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
        started = time.monotonic()
        self._deadline = started + self._left
        try:
            send(self._peer, {"do": do, **head}, body, self._check)
            reply, parts = receive(self._peer, self._check)
        except PeerGone as error:
            raise self._crashed(do) from error
        finally:
            self._left = max(0.0, self._left - (time.monotonic() - started))
        if reply.get("no_memory"):
            raise self._wording.too_large(self._limit)
        if reply.get("unknown") and self._program_replaced():
            raise self.not_understood(reply["error"])
        if "error" in reply:
            raise UnservableModel(reply["error"], hint=reply["hint"])
        return reply, parts

    def _check(self) -> None:
        """Called while the process works."""
        if time.monotonic() > self._deadline:
            self._end()
            raise self._wording.too_slow(self._seconds)
        try:
            self._check_wanted()
        except BaseException:
            self._end()
            raise

    def _check_start(self) -> None:
        """Called while the process starts."""
        if time.monotonic() > self._deadline:
            self._end()
            raise OperatorError(
                f"{self._wording.process} did not start within {_START_SECONDS:g} s",
                hint="the machine may be overloaded; the service tries again",
            )

    def not_understood(self, problem: str) -> UnservableModel:
        """The error where the process and this one do not understand each other."""
        if not self._program_replaced():
            return UnservableModel(f"{self._wording.process} failed: {problem}")
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
            return self.not_understood(f"it ended {how}")
        return self._wording.crashed(do, how)

    def _start(self) -> None:
        self._end()
        if self._closed:
            raise _stopping()
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-m", self._module, str(theirs.fileno()), *self._arguments],
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the service
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
                raise self.not_understood("it does not start") from error
            raise OperatorError(
                f"{self._wording.process} does not start", hint="its error is in the log of the service"
            ) from error


def _stopping() -> UnservableModel:
    return UnservableModel("the server is being stopped")
