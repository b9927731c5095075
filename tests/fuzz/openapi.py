"""Schemathesis on the OpenAPI documents that services publish: what is answered must be what is documented."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.campaign import Service
from tests.fuzz.wire import Credential

DOCUMENTS = {
    **dict.fromkeys(("inference", "inference-bentoml"), "/docs.json"),
    **dict.fromkeys(("retraining", "drift", "console"), "/openapi.json"),
}
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@dataclass(frozen=True)
class Conformance:
    """The result for one document: how many requests were made, and how many of them failed a check; the output of the run."""

    service: str
    operations: int
    requests: int
    failures: int
    output: str


def check_document(service: Service, credential: Credential, *, examples: int, seed: int) -> Conformance:
    """Check a service against its document, with `examples` requests per operation in each phase at most."""
    assert credential.header is not None
    command = [str(Path(sys.executable).with_name("schemathesis")), "run"]
    command += [f"http://127.0.0.1:{service.port}{DOCUMENTS[service.name]}"]
    command += ["--header", f"Authorization: {credential.header.decode()}", "--checks", ",".join(CHECKS)]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--seed", str(seed)]
    command += [
        "--generation-database",
        "none",
        "--continue-on-failure",
        "--warnings",
        "off",
        "--request-timeout",
        "30",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    operations = re.search(r"Tested: (\d+)", done.stdout)
    counted = re.search(r"(\d+) generated(?:, (\d+) found)?", done.stdout)
    if operations is None or counted is None or done.returncode not in (0, 1):
        raise RuntimeError(f"schemathesis did not run: {(done.stdout + done.stderr)[-2000:]}")
    # A status of 1 without failing requests is an error of the run itself.
    failures = int(counted[2] or 0) or done.returncode
    return Conformance(service.name, int(operations[1]), int(counted[1]), failures, done.stdout)
