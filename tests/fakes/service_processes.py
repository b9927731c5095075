"""The services as processes of their own, without Kafka, on a home that holds one released model."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from local_stack.certificates import CertificateFolder
from local_stack.ports import free_port
from tests import local_http
from tests.waiting import bound, eventually

COMMANDS = {
    "inference": (
        str(Path(sys.executable).with_name("bentoml")),
        "serve",
        "services.inference.service:InferenceService",
    ),
    "shipper": (sys.executable, "-m", "services.prediction_log", "shipper"),
    "sink": (sys.executable, "-m", "services.prediction_log", "sink"),
    "drift": (sys.executable, "-m", "services.drift"),
    "retraining": (sys.executable, "-m", "services.retraining"),
    "console": (sys.executable, "-m", "services.console"),
}


@dataclass(frozen=True)
class RunningService:
    """A service that answers."""

    process: subprocess.Popen[bytes]
    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def is_live(self) -> bool:
        """Whether its health route answers."""
        try:
            return local_http.get(f"{self.url}/health/live").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def running(
    name: str,
    home: Path,
    *,
    files: int | None = None,
    certificates: CertificateFolder | None = None,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Iterator[RunningService]:
    """One of COMMANDS on `home`, until the end of the block.

    `files`: how many it may open. `certificates`: it has TLS. `environment`: more settings. `log`: where its output goes.
    """
    port = free_port()
    variables = {
        **os.environ,
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_KAFKA": "127.0.0.1:1",
        "HOMEOSTAT_RETRAINING_MLFLOW": "false",
        f"HOMEOSTAT_{name.upper()}_PORT": str(port),
        "BENTOML_HOME": str(home.parent / "bentoml"),
        "BENTOML_PORT": str(port),
        **(environment or {}),
    }
    if certificates is not None:
        variables["HOMEOSTAT_TLS_CERTIFICATE"] = str(certificates.server)
        variables["HOMEOSTAT_TLS_KEY"] = str(certificates.server_key)

    def limit_files() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with (
        (log or Path(os.devnull)).open("wb") as output,
        subprocess.Popen(
            COMMANDS[name],
            cwd=Path(__file__).parents[2],
            env=variables,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=limit_files,
        ) as process,
    ):
        try:
            service = RunningService(process, port, "http" if certificates is None else "https")
            eventually(service.is_live, f"{name} answers", within_s=120)
            yield service
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(bound(30))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
