"""A real `bentoml serve` of the inference service on a port of its own, without Kafka."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from local_stack.certificates import CertificateFolder
from local_stack.ports import free_port
from shared.spool import Record
from shared.spool.reader import SpoolReader
from tests.fakes.toy_model import ToyStore
from tests.waiting import bound, time_factor

ROOT = Path(__file__).parents[3]


class InferenceProcess:
    """One server: the process of `bentoml serve`, and the worker it starts in a group of its own."""

    def __init__(
        self,
        home: Path,
        *,
        served: str = "services.inference.service:InferenceService",
        folder: Path = ROOT,
        certificates: CertificateFolder | None = None,
        key: str = "",
        options: tuple[str, ...] = (),
        **environment: str,
    ) -> None:
        """`served`: what `bentoml serve` is given, in `folder`, with `options`. `certificates`: it has TLS.

        `key`: what `http` sends with every request.
        """
        self.home = home
        self._scheme = "http" if certificates is None else "https"
        self._trusted = ssl.create_default_context(cafile=certificates.ca) if certificates else True
        if certificates is not None:
            environment["HOMEOSTAT_TLS_CERTIFICATE"] = str(certificates.server)
            environment["HOMEOSTAT_TLS_KEY"] = str(certificates.server_key)
        self._served = served
        self._folder = folder
        self._options = options
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._environment = {
            **os.environ,
            "HOMEOSTAT_HOME": str(home),
            "HOMEOSTAT_KAFKA": "127.0.0.1:1",
            "HOMEOSTAT_INFERENCE_POLL_SECONDS": "0.1",
            "HOMEOSTAT_INFERENCE_RETRY_SECONDS": "0.5",
            **environment,
        }
        self._start(free_port())

    def _start(self, port: int) -> None:
        self.port = port
        self.url = f"{self._scheme}://127.0.0.1:{self.port}"
        self.log = self.home / f"server-{self.port}.log"
        command = [
            str(Path(sys.executable).with_name("bentoml")),
            "serve",
            self._served,
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *self._options],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.http = httpx.Client(
            base_url=self.url, headers=self._headers, timeout=bound(20), verify=self._trusted
        )

    def worker(self) -> psutil.Process:
        """The process that answers: the one with the most memory below ours."""
        return max(
            psutil.Process(self.process.pid).children(recursive=True),
            key=lambda child: child.memory_info().rss,
        )

    def wait(self, true: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """Poll until `true` answers something; fails with the end of the server's log."""
        end = time.monotonic() + seconds * time_factor()
        while time.monotonic() < end:
            try:
                if result := true():
                    return result
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds:g} s: {what}\n{self.log.read_text()[-3000:]}")

    def wait_live(self) -> None:
        def live() -> bool:
            # BentoML picks ports for itself and opens them later; on a busy machine someone may take one in between.
            if self.process.poll() is not None and "Address already in use" in self.log.read_text():
                self.http.close()
                self._start(free_port())
            return self.http.get("/health/live").status_code == 200

        self.wait(live, "the server is live", 120)

    def wait_served(self, version: str, model: str = "toy") -> None:
        self.wait(
            lambda: self.served(model).get("version") == version, f"{model} {version[:12]} is served", 30
        )

    def wait_generation(self, generation: int, model: str = "toy") -> None:
        self.wait(
            lambda: self.served(model).get("generation") == generation,
            f"generation {generation} of {model} is served",
            30,
        )

    def status(self) -> dict[str, Any]:
        report: dict[str, Any] = self.http.get("/status.json").json()
        return report

    def served(self, model: str = "toy") -> dict[str, Any]:
        return next((entry for entry in self.status()["models"] if entry["name"] == model), {})

    def metric(self, line: str) -> float:
        """The value of one series, by its name and labels as written; 0 where it is not there."""
        for text in self.http.get("/metrics").text.splitlines():
            if text.rpartition(" ")[0] == line:
                return float(text.rpartition(" ")[2])
        return 0.0

    def kill(self) -> None:
        """As a power cut would: no process gets to say goodbye."""
        for process in self._processes():
            process.kill()
        self.process.wait(timeout=bound(10))

    def start_again(self) -> None:
        """After its end, on the same port."""
        self.http.close()
        self._start(self.port)

    def stop(self) -> None:
        self.http.close()
        left = self._processes()
        if self.process.poll() is None:
            self.process.terminate()
        _, alive = psutil.wait_procs(left, timeout=bound(15))
        for process in alive:
            process.kill()
        self.process.wait(timeout=bound(10))

    def _processes(self) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def spooled(home: Path) -> list[Record]:
    """Everything on the spool below `home`, as the shipper would read it."""
    records: list[Record] = []
    for folder in sorted((home / "spool").iterdir()):
        reader = SpoolReader(folder)
        while entries := reader.read():
            records += [entry.record for entry in entries]
    return records


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> ToyStore:
    return ToyStore(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def server(toys: ToyStore) -> Iterator[InferenceProcess]:
    """A server that was started with no model, no Kafka and nothing else of the installation."""
    server = InferenceProcess(toys.home)
    try:
        server.wait_live()
        yield server
    finally:
        server.stop()
