"""One real server for the HTTP and the swap part: models packaged and released, started on the device, its metrics read."""

from __future__ import annotations

import os
import re
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from local_stack.ports import free_port

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 600.0
_STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    process: psutil.Process
    log: Path

    def metrics(self) -> str:
        """Its metrics as text."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as response:
            text: str = response.read().decode()
        return text

    def metric(self, name: str) -> float | None:
        """The sum over the series of a metric; None if there is none."""
        found = re.findall(
            rf"^{name}(?:\{{[^}}]*\}})? ([-+.\dNa]+(?:e[-+]?\d+)?)$", self.metrics(), re.MULTILINE
        )
        return sum(float(value) for value in found) if found else None

    def memory_bytes(self) -> int:
        """Memory of the GPU that all processes use if this server is on one, else resident memory of its processes."""
        on_gpu = self.metric("homeostat_inference_device_memory_used_bytes")
        if on_gpu is not None:
            return int(on_gpu)
        family = [self.process, *self.process.children(recursive=True)]
        return sum(int(one.memory_info().rss) for one in family)


@contextmanager
def serving(home: Path, *, device: str, settings: Mapping[str, str], models: int) -> Iterator[Server]:
    """The server of the releases in `home`, once so many models are served. Raises SystemExit with the end of its log."""
    port, log = free_port(), home / "server.log"
    command = [
        str(Path(sys.executable).parent / "bentoml"),
        "serve",
        "services.inference.service:InferenceService",
    ]
    environment = {
        **os.environ,
        "BENTOML_DO_NOT_TRACK": "True",
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_INFERENCE_DEVICE": device,
        "HOMEOSTAT_ANONYMOUS_ACCESS": "true",
        **settings,
    }
    with log.open("wb") as output:
        process = psutil.Popen(
            [*command, "--port", str(port)], cwd=_ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        server = Server(port, process, log)
        wait_for(
            server, lambda: (server.metric("homeostat_inference_generation") or 0) >= models, _START_SECONDS
        )
        yield server
    finally:
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _, alive = psutil.wait_procs(family, timeout=_STOP_SECONDS)
        for left in alive:
            left.kill()


def wait_for(server: Server, is_reached: object, seconds: float) -> None:
    """Poll the server until it says so. Raises SystemExit."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.process.is_running():
        try:
            if is_reached():  # type: ignore[operator]
                return
        except OSError:  # it does not listen yet
            pass
        time.sleep(0.05)
    raise SystemExit(f"the server did not get ready; the end of its log:\n{server.log.read_text()[-3000:]}")
