"""mosec around onnxruntime: one worker per route, no batching. Runs in an environment of its own that has mosec."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from mosec import Runtime, Server, Worker  # type: ignore[import-not-found]

from loadtests.peers.engine import open_session


class Rows(Worker):  # type: ignore[misc]
    """Rows of numbers, in JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.session = open_session("mlp")

    def deserialize(self, data: bytes) -> Any:
        """The rows."""
        return np.asarray(orjson.loads(data)["x"], dtype=np.float32)

    def serialize(self, data: Any) -> bytes:
        """The answer."""
        return orjson.dumps({"y": data}, option=orjson.OPT_SERIALIZE_NUMPY)

    def forward(self, data: Any) -> Any:
        """Probabilities."""
        return self.session.run(None, {"x": data})[0]


class Image(Rows):
    """An image, which is the body's float32."""

    def __init__(self) -> None:
        super().__init__()
        self.session = open_session("conv")

    def deserialize(self, data: bytes) -> Any:
        """The image."""
        return np.frombuffer(data, np.float32).reshape(-1, 3, 64, 64)


if __name__ == "__main__":
    server = Server()
    server.register_runtime(
        {
            "/predict": [Runtime(Rows, num=1, max_batch_size=1)],
            "/image": [Runtime(Image, num=1, max_batch_size=1)],
        }
    )
    server.run()
