"""The isolated process: loads one model at a time and runs it on the rows it is sent, within a memory limit.

    python -m services.inference.isolation SOCKET DEVICE THREADS

1. say that it is ready   2. receive a message: `load` with the bytes of a model, `run` with its inputs, or `unload`
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
from pathlib import Path
from typing import Any

import numpy as np

from services.inference.isolation.frames import PeerGone, describe, receive, restore, send
from services.inference.runtimes.devices import Device, choose_device
from services.inference.runtimes.engines import EngineOptions, Loaded, open_engine
from shared.contracts.manifest import ARCHIVE, MODEL
from shared.errors import HomeostatError, UnservableModel
from shared.models.file_safety import check_model_file
from shared.models.torch_archive.torch_import import import_torch

_IDLE_SECONDS = 60.0
_NICENESS = 10  # the server's own work goes first
_PR_SET_PDEATHSIG = 1
_WORDS_OF_NO_MEMORY = ("bad_alloc", "failed to allocate", "cannot allocate", "out of memory")


class Isolated:
    """The model that is loaded, if there is one."""

    def __init__(self, device: Device, threads: int) -> None:
        self._device = device
        self._threads = threads
        self._engine: Loaded | None = None
        self._memory_bytes = 0

    def answer(self, head: dict[str, Any], body: memoryview) -> tuple[dict[str, Any], list[memoryview]]:
        """What to send back. Raises HomeostatError, MemoryError, and KeyError for a message that is none."""
        if head["do"] == "load":
            return self._load(head, body), []
        if head["do"] == "unload":
            self._engine = None
            return {}, []
        if self._engine is None:
            raise UnservableModel("no model is loaded in the isolated process")
        output = self._engine.run(head["output"], restore(head["feeds"], body))
        described, parts = describe({"output": output})
        return {"output": described}, parts

    def limited(self, error: Exception) -> HomeostatError | None:
        """The error, if the memory limit is its cause."""
        text = str(error).lower()
        if not isinstance(error, MemoryError) and not any(words in text for words in _WORDS_OF_NO_MEMORY):
            return None
        return UnservableModel(
            f"the model needs more than the {self._memory_bytes >> 20} MiB of memory that a new version may use",
            hint="raise HOMEOSTAT_INFERENCE_CANDIDATE_MEMORY_BYTES, give the server more memory, or release a smaller model",
        )

    def _load(self, head: dict[str, Any], body: memoryview) -> dict[str, Any]:
        name, memory_bytes = head["name"], int(head["memory_bytes"])
        self._engine = None
        if name == ARCHIVE:
            # Its libraries are not the model's memory, and the limit of the model before does not count for them.
            resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            import_torch()
        self._memory_bytes = memory_bytes
        # CUDA reserves address space far beyond what it uses.
        if memory_bytes and self._device.name == "cpu":
            _limit_memory(memory_bytes)
        model = bytes(body)
        if name == MODEL:
            check_model_file(model)  # an archive is checked by its reader
        options = EngineOptions.load(head["options"])
        self._engine = open_engine(name, model, options, device=self._device, threads=self._threads)
        return {
            "device": self._engine.device,
            "inputs": [[one.name, one.kind, one.shape] for one in self._engine.inputs],
            "outputs": [[one.name, one.kind, one.shape] for one in self._engine.outputs],
            "batch_sizes": self._engine.batch_sizes,
        }


def main(arguments: list[str]) -> int:
    """Answer messages until the parent is gone."""
    peer = socket.socket(fileno=int(arguments[0]))
    _prepare()
    isolated = Isolated(choose_device(arguments[1]), int(arguments[2]))  # type: ignore[arg-type]
    peer.settimeout(_IDLE_SECONDS)
    try:
        send(peer, {}, [], _give_up)
        while True:
            head, body = receive(peer, _give_up)
            try:
                reply, parts = isolated.answer(head, body)
            except Exception as error:
                reply, parts = _error(isolated.limited(error) or error), []
            send(peer, reply, parts, _give_up)
    except PeerGone:
        return 0


def _error(error: Exception) -> dict[str, Any]:
    if isinstance(error, HomeostatError):
        return {"error": error.message, "hint": error.hint}
    return {"error": f"{type(error).__name__}: {error}", "hint": "", "unknown": True}


def _give_up() -> None:
    raise PeerGone


def _prepare() -> None:
    """Give way to the server, and be the first that the kernel ends where memory is short."""
    # The server ends it: a signal to both (Ctrl-C, a supervisor that stops children) would look like a crash of the model.
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
