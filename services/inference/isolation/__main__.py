"""The isolated process for new versions.

python -m services.inference.isolation SOCKET DEVICE THREADS
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from typing import Any

from services.inference.runtimes.devices import choose_device
from services.inference.runtimes.engines import EngineOptions, open_engine
from shared.models.isolation.model_server import ModelServer, serve


def make(device: str, threads: int) -> ModelServer:
    """The server of models on a device."""
    chosen = choose_device(device)  # type: ignore[arg-type]

    def open_one(name: str, model: bytes, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        engine = open_engine(name, model, EngineOptions.load(dict(options)), device=chosen, threads=threads)
        return engine, {"device": engine.device, "batch_sizes": engine.batch_sizes}

    # CUDA reserves address space far beyond what it uses.
    return ModelServer(open_one, limits_memory=chosen.name == "cpu")


def main(arguments: list[str]) -> int:
    """Answer messages until the parent is gone."""
    peer = socket.socket(fileno=int(arguments[0]))
    return serve(peer, lambda: make(arguments[1], int(arguments[2])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
