"""A real S3 server for tests: a process of another project (moto), in the environment that `make s3-server` installs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests import local_http
from tests.waiting import bound

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / "build" / "s3-server" / "bin" / "python"
PROGRAM = ROOT / "tests" / "clients" / "programs" / "moto_s3.py"


class S3Server:
    """A running server at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets for it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
        }

    def new_bucket(self) -> str:
        """A bucket for one test: its name."""
        name = f"b{uuid4().hex[:12]}"
        assert local_http.request("PUT", f"{self.url}/{name}", timeout=bound(10)).status_code == 200
        return name


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """Start the server; ends it. Skips, and fails in CI, where its environment is not installed."""
    if not PYTHON.with_name(".installed").exists():
        said = "the S3 server is not installed; `make s3-server` does it"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    process = subprocess.Popen([str(PYTHON), str(PROGRAM)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            pytest.fail(f"the S3 server ended with {process.wait(bound(10))}")
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(bound(10))
