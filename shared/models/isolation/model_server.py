"""The side of the isolated process: loads one model at a time and runs it on the rows it is sent, within a memory limit.

1. say that it is ready   2. receive a message: `load` with the bytes of a model or its path, `run` with its inputs, or `unload`
3. check the bytes, load, or run   4. send the result, or the error
It ends when its parent does, or after a minute without a message.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shared.contracts.version_files.names import ARCHIVE, MODEL
from shared.errors import HomeostatError, UnservableModel
from shared.models.file_safety import check_model_file
from shared.models.isolation.frames import PeerGone, describe, receive, restore, send
from shared.models.model_bytes import read_model
from shared.models.torch_archive.torch_import import import_torch

# The engine of a model, and what its parent is told about it beside its inputs and outputs.
OpenEngine = Callable[[str, bytes, Mapping[str, Any]], tuple[Any, dict[str, Any]]]

_IDLE_SECONDS = 60.0
_NICENESS = 10  # the service's own work goes first
_PR_SET_PDEATHSIG = 1
_WORDS_OF_NO_MEMORY = ("bad_alloc", "failed to allocate", "cannot allocate", "out of memory")


class ModelServer:
    """The model that is loaded, if there is one."""

    def __init__(self, open_engine: OpenEngine, *, limits_memory: bool = True) -> None:
        """`open_engine` is given the file's name, its bytes and the options of the message."""
        self._open_engine = open_engine
        self._limits_memory = limits_memory
        self._engine: Any = None
        self._peak_before = 0

    def answer(self, head: dict[str, Any], body: memoryview) -> tuple[dict[str, Any], list[memoryview]]:
        """What to send back. Raises HomeostatError, MemoryError, and KeyError for a message that is none."""
        if head["do"] == "load":
            return self._load(head, body), []
        if head["do"] == "unload":
            self._engine = None
            return {}, []
        if self._engine is None:
            raise UnservableModel("no model is loaded in the isolated process")
        feeds = restore(head["feeds"], body)
        started = time.perf_counter()
        output = self._engine.run(head["output"], feeds)
        seconds = time.perf_counter() - started
        described, parts = describe({"output": output})
        rise = _peak_bytes() - self._peak_before
        return {"output": described, "seconds": seconds, "memory_bytes": rise}, parts

    def _load(self, head: dict[str, Any], body: memoryview) -> dict[str, Any]:
        name, memory_bytes = head["name"], int(head["memory_bytes"])
        self._peak_before = _peak_bytes()
        self._engine = None
        if name == ARCHIVE:
            # Its libraries are not the model's memory, and the limit of the model before does not count for them.
            resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            import_torch()
        if memory_bytes and self._limits_memory:
            _limit_memory(memory_bytes)
        model = read_model(Path(head["path"])) if head.get("path") else bytes(body)
        if name == MODEL:
            check_model_file(model)  # an archive is checked by its reader
        self._engine, more = self._open_engine(name, model, head["options"])
        return {
            **more,
            "inputs": [[one.name, one.kind, one.shape] for one in self._engine.inputs],
            "outputs": [[one.name, one.kind, one.shape] for one in self._engine.outputs],
        }


def _peak_bytes() -> int:
    """The most memory that this process held so far; getrusage(2) gives it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def serve(peer: socket.socket, make: Callable[[], ModelServer]) -> int:
    """Answer messages until the parent is gone; the exit status. `make` is called when the process is prepared."""
    _prepare()
    server = make()
    peer.settimeout(_IDLE_SECONDS)
    try:
        send(peer, {}, [], _give_up)
        while True:
            head, body = receive(peer, _give_up)
            try:
                reply, parts = server.answer(head, body)
            except Exception as error:
                reply, parts = _error(error), []
            send(peer, reply, parts, _give_up)
    except PeerGone:
        return 0


def _error(error: Exception) -> dict[str, Any]:
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(words in text for words in _WORDS_OF_NO_MEMORY):
        return {"error": "", "hint": "", "no_memory": True}
    if isinstance(error, HomeostatError):
        return {"error": error.message, "hint": error.hint}
    return {"error": f"{type(error).__name__}: {error}", "hint": "", "unknown": True}


def _give_up() -> None:
    raise PeerGone


def _prepare() -> None:
    """Give way to the service, and be the first that the kernel ends where memory is short."""
    # The service ends it: a signal to both (Ctrl-C, a supervisor that stops children) would look like a crash of the model.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text("1000")
    # A crash is reported by the parent; a core of a large model would fill the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    np.seterr(all="ignore")


def _limit_memory(more: int) -> None:
    """Let this process allocate `more` bytes beyond what it has now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    used = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (used + more, resource.RLIM_INFINITY))
