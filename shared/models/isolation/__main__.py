"""An isolated process that runs models on the CPU, as deployment and the gate do.

python -m shared.models.isolation SOCKET
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from typing import Any

from shared.contracts.version_files.names import ARCHIVE
from shared.models.isolation.model_server import ModelServer, serve
from shared.models.runners.onnx_engine import OnnxEngine, open_session


def open_engine(name: str, model: bytes, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The engine of a model; `name` is its file's. Raises UnservableModel."""
    threads = int(options["threads"])
    if name == ARCHIVE:
        from shared.models.torch_archive.torch_model import TorchModel

        return TorchModel(model, threads=threads), {}
    return OnnxEngine(open_session(model, threads=threads)), {}


def main(arguments: list[str]) -> int:
    """Answer messages until the parent is gone."""
    return serve(socket.socket(fileno=int(arguments[0])), lambda: ModelServer(open_engine))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
