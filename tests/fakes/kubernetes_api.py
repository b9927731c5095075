"""An API server of Kubernetes as far as jobs need it. It runs the container of a job as a process of this machine.

Requests are kept. A manifest with a field that the API does not know is refused, as with `fieldValidation=Strict`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).parents[2]
NAMESPACE = "ml"
_JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


def unknown_fields(manifest: dict[str, Any]) -> list[str]:
    """Paths of a job's manifest that the official client's model of the API does not know, or has as another type."""
    from kubernetes.client import ApiClient

    api = ApiClient()
    parsed = api.sanitize_for_serialization(
        api.deserialize(json.dumps(manifest), "V1Job", "application/json")
    )
    return list(_differences(manifest, parsed, ""))


def _differences(given: Any, parsed: Any, path: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(parsed, dict):
        for name, value in given.items():
            yield from _differences(value, parsed.get(name), f"{path}.{name}")
    elif isinstance(given, list) and isinstance(parsed, list) and len(given) == len(parsed):
        for place, (one, other) in enumerate(zip(given, parsed, strict=True)):
            yield from _differences(one, other, f"{path}[{place}]")
    elif given != parsed:
        yield path


@dataclass
class FakeCluster:
    """Jobs by name, their processes, and the requests so far. `runs`: whether a created job starts.

    `unschedulable`: why no node takes its pod. `lingering`: how often a deleted job is still seen.
    """

    url: str = ""
    runs: bool = True
    unschedulable: str = ""
    lingering: int = 0
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    outputs: dict[str, Path] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)  # by method and path
    folder: Path = Path()

    def create(self, manifest: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if unknown := unknown_fields(manifest):
            return 422, {"message": f"strict decoding error: unknown field {unknown[0]}"}
        name = manifest["metadata"]["name"]
        if name in self.jobs:
            return 409, {"message": f"jobs.batch {name} already exists"}
        self.jobs[name] = {**manifest, "status": {"active": 1}}
        if self.runs and not self.unschedulable:
            [container] = manifest["spec"]["template"]["spec"]["containers"]
            self.outputs[name] = self.folder / f"{name}.log"
            with self.outputs[name].open("wb") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, *container["command"][1:]],
                    cwd=self.folder,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    stdout=log,
                    stderr=log,
                )
        return 201, self.jobs[name]

    def read(self, name: str) -> tuple[int, dict[str, Any]]:
        job = self.jobs.get(name)
        if job is not None and "deletionTimestamp" in job["metadata"]:
            self.lingering -= 1
            if self.lingering < 0:
                del self.jobs[name]
                job = None
        if job is None:
            return 404, {"message": f"jobs.batch {name} not found"}
        process = self.processes.get(name)
        if process is not None and (code := process.poll()) is not None:
            kind = "Failed" if code else "Complete"
            reason = {"reason": "BackoffLimitExceeded"} if code else {}
            job["status"] = {"conditions": [{"type": kind, "status": "True", **reason}]}
        return 200, job

    def delete(self, name: str) -> tuple[int, dict[str, Any]]:
        if name not in self.jobs:
            return 404, {"message": f"jobs.batch {name} not found"}
        if self.lingering:  # as with propagationPolicy=Foreground, until its pod is gone
            self.jobs[name]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        else:
            del self.jobs[name]
        process = self.processes.pop(name, None)
        if process is not None:
            process.terminate()
            process.wait(timeout=30)
        return 200, {"kind": "Status", "status": "Success"}

    def listed(self, selector: str) -> list[dict[str, Any]]:
        label, _, value = selector.partition("=")
        return [job for job in self.jobs.values() if job["metadata"]["labels"].get(label) == value]

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        self.requests.append(f"{method} {path}")
        if refusal := self.refusals.get(f"{method} {path}"):
            return refusal[0], {"message": refusal[1]}
        name = path.rsplit("/", 1)[1]
        selector = query.get("labelSelector", [""])[0]
        if (method, path) == ("POST", _JOBS):
            assert query["fieldValidation"] == ["Strict"]
            return self.create(body)
        if (method, path) == ("GET", _JOBS):
            return 200, {"items": self.listed(selector)}
        if path.startswith(f"{_JOBS}/"):
            return self.read(name) if method == "GET" else self.delete(name)
        if (method, path) == ("GET", _PODS):
            job = selector.removeprefix("batch.kubernetes.io/job-name=")
            if self.unschedulable and job in self.jobs:
                condition = {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": self.unschedulable,
                }
                pod = {
                    "metadata": {"name": f"{job}-x1"},
                    "status": {"phase": "Pending", "conditions": [condition]},
                }
                return 200, {"items": [pod]}
            started = {"metadata": {"name": f"{job}-x1"}, "status": {"phase": "Running"}}
            return 200, {"items": [started] if job in self.outputs else []}
        if path.startswith(f"{_PODS}/") and path.endswith("/log"):
            job = path.split("/")[-2].removesuffix("-x1")
            return 200, self.outputs[job].read_text()
        return 404, {"message": f"no {path}"}


@contextmanager
def kubernetes_api(folder: Path) -> Iterator[FakeCluster]:
    """A cluster that listens, and `config` in `folder`, for KUBECONFIG."""
    cluster = FakeCluster(folder=folder)

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            split = urlsplit(self.path)
            status, answer = cluster.answer(self.command, split.path, parse_qs(split.query), body)
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    named = {"name": "here"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{**named, "cluster": {"server": cluster.url}}],
        "users": [{**named, "user": {}}],
        "contexts": [{**named, "context": {"cluster": "here", "user": "here"}}],
    }
    (folder / "config").write_text(json.dumps(config))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        for process in cluster.processes.values():
            process.kill()
            process.wait()
