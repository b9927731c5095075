"""A stateful fake of all services of a loop: a POST changes later responses.

Each service has its own path prefix (`/drift/verdicts` is drift's `/verdicts`), so one server is enough for all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from services.console.aggregation.endpoints import Endpoints
from services.retraining.rollout.rollback import default_rollback_generation
from shared.contracts.release import Release

VERSIONS = tuple(f"{letter * 4}{number:060d}" for number, letter in enumerate("abcdef"))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SERVICES = ("inference", "shipper", "sink", "drift", "retraining")


@dataclass
class FakeLoop:
    """Services in `unreachable` refuse connections; those in `slow` delay responses by that many seconds.

    `lies` replaces the response bodies of paths (`/drift/status`). `asked` records the path of every request, `posted` every POST
    with its body, in order. `credentials` has the `Authorization` header of every request ("" for none), by path.
    """

    now: datetime = NOW
    model: str = "flights"
    releases: list[dict[str, Any]] = field(default_factory=list)
    served: dict[str, Any] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    losses: dict[str, Any] = field(default_factory=dict)
    kafka: bool = True
    unreachable: set[str] = field(default_factory=set)
    slow: dict[str, float] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    credentials: dict[str, set[str]] = field(default_factory=dict)
    refuses: int = 0  # the status with which every request is refused
    _lock: Lock = field(default_factory=Lock)

    def answer(
        self, method: str, target: str, body: Any = None, authorization: str = ""
    ) -> tuple[int, bytes]:
        """Status and body. Raises ConnectionRefusedError if the service is in `unreachable`."""
        url = urlsplit(target)
        service, _, rest = url.path.removeprefix("/").partition("/")
        if service in self.unreachable:
            raise ConnectionRefusedError(service)
        time.sleep(self.slow.get(service, 0.0))
        with self._lock:
            self.asked.append(target)
            self.credentials.setdefault(url.path, set()).add(authorization)
            if self.refuses:
                return _no(self.refuses, "the API key is not known here")
            if url.path in self.lies:
                return 200, self.lies[url.path]
            if method == "POST":
                self.posted.append((url.path, body))
                return self._act(unquote(rest), body)
            if rest == "metrics":
                return 200, self._metrics(service).encode()
            said = self._say(service, unquote(rest), parse_qs(url.query))
            return (200, json.dumps(said).encode()) if said is not None else _no(404, f"there is no {rest}")

    def release(self, version: int, reason: str = "promotion", actor: str = "loop", note: str = "") -> None:
        """Add a release; the server serves it immediately."""
        self.releases.append(
            {
                "model": self.model,
                "generation": len(self.releases) + 1,
                "version": VERSIONS[version],
                "previous": self.releases[-1]["version"] if self.releases else "",
                "reason": reason,
                "actor": actor,
                "run_id": "",
                "cause_key": "",
                "note": note,
                "released_at": (self.now - timedelta(hours=50 - len(self.releases))).isoformat(),
            }
        )
        self.served = {"generation": len(self.releases), "version": VERSIONS[version]}

    def start(self, version: int, slot: str, share: float) -> None:
        """Add an entry of a canary or shadow; a share of 0 withdraws it."""
        served = self.served
        self.release(version, slot if share else "withdrawal")
        self.releases[-1] |= {"slot": slot, "share": share}
        self.served = served

    def verdict(self, number: int, state: str = "ok", ratio: float = 0.5) -> dict[str, Any]:
        """Add a verdict as the newest; its highest score is `ratio` times its threshold."""
        end = self.now - timedelta(days=100 - number)
        made = {
            "verdict_id": f"{number:032x}",
            "model": self.model,
            "version": self.served.get("version", ""),
            "generation": self.served.get("generation", 0),
            "detector": "performance",
            "window_start": (end - timedelta(days=1)).isoformat(),
            "window_end": end.isoformat(),
            "rows": 1200,
            "outcomes": 1100,
            "state": state,
            "scores": [
                _score("feature", "dest", "jensenshannon", 0.12 * ratio, 0.12),
                _score("performance", "", "log_loss", 0.4, 0.6),
                _score("data", "temp", "missing_share", 0.06, 0.5),
            ],
            "top_drifted_features": ["dest"] if ratio > 1 else [],
            "drifted": ["feature"] if state == "drift" else [],
            "loss": 0.4,
            "reference_loss": 0.39,
            "explanation": "jensenshannon of dest is above what chance and tolerance allow.",
            "reached_at": (end + timedelta(hours=1)).isoformat(),
        }
        self.verdicts.insert(0, made)
        return made

    def decision(
        self, key: str, *, action: str = "wait", reason_code: str = "healthy", state: str = "ok"
    ) -> None:
        """Add a decision as the newest; with the state drift or data_fault it needs an acknowledgement."""
        self.decisions.insert(
            0,
            {
                "id": len(self.decisions) + 1,
                "cause_key": key,
                "model": self.model,
                "action": action,
                "reason_code": reason_code,
                "reason": f"the reason of {key}",
                "event_time": self.now.isoformat(),
                "decided_at": (self.now - timedelta(minutes=5)).isoformat(),
                "source": "verdict",
                "cause_reason": f"the reason of the cause {key}",
                "actor": "drift",
                "cause_state": state,
                "run_id": "",
                "needs_acknowledgement": state in ("drift", "data_fault"),
                "issue": state if state in ("drift", "data_fault") else "",
                "acknowledged": None,
            },
        )

    def run(self, run_id: str, state: str, *, gate: bool | None = None, digest: str = "") -> None:
        """Add a run as the newest."""
        proven = {"passed": gate, "reason": "log_loss 0.60 → 0.55, gain +0.05"} if gate is not None else None
        self.runs.insert(
            0,
            {
                "run_id": run_id,
                "cause_key": f"cause-of-{run_id}",
                "model": self.model,
                "state": state,
                "reason_code": "gate" if gate is False else "",
                "reason": f"the reason of {run_id}",
                "version": VERSIONS[5],
                "champion": self.served.get("version", ""),
                "gate": proven,
                "gate_digest": digest,
                "event_time": self.now.isoformat(),
                "created_at": (self.now - timedelta(minutes=60 - len(self.runs))).isoformat(),
                "state_changed_at": (self.now - timedelta(minutes=3)).isoformat(),
                "ended_at": None if state in ("suggested", "waiting_for_approval") else self.now.isoformat(),
            },
        )

    def _say(self, service: str, path: str, query: dict[str, list[str]]) -> dict[str, Any] | None:
        limit = int(query.get("limit", ["1000"])[0])
        if service == "inference" and path == "status.json":
            return self._inference()
        if service == "drift":
            models = [{"model": self.model, "error": ""}] if self.releases else []
            asked = query.get("model", [""])[0]
            verdicts = [one for one in self.verdicts if asked in ("", one["model"])]
            bodies: dict[str, dict[str, Any]] = {
                "status": {"service": "drift", "ready": True, "unpublished": 0, "models": models},
                "verdicts": {"verdicts": verdicts[:limit]},
            }
            return bodies.get(path)
        if service == "retraining":
            return self._retraining(path, query, limit)
        return {"service": service, "ready": True, "last_error": "" if self.kafka else "no broker answers"}

    def _retraining(self, path: str, query: dict[str, list[str]], limit: int) -> dict[str, Any] | None:
        if path == f"models/{self.model}/releases":
            # Not validated: tests put hostile texts into the fake's releases.
            log = [Release.model_construct(**entry) for entry in self.releases]
            return {
                "model": self.model,
                "releases": self.releases,
                "rollback_target": default_rollback_generation(log),
            }
        if path.startswith("runs/"):
            return next((run for run in self.runs if run["run_id"] == path.removeprefix("runs/")), None)
        states = query.get("state")
        runs = [run for run in self.runs if states is None or run["state"] in states]
        bodies: dict[str, dict[str, Any]] = {
            "status": {
                "ready": True,
                "leader": "this process",
                "verdicts": "connected" if self.kafka else "waiting for Kafka",
                "active_runs": [],
                "models": [{"model": self.model, **self.losses}] if self.releases else [],
            },
            "decisions": {"decisions": self.decisions[:limit], "unacknowledged": self._unseen_groups()},
            "runs": {"runs": runs[:limit]},
        }
        return bodies.get(path)

    def _unseen(self) -> list[dict[str, Any]]:
        return [
            one for one in self.decisions if one.get("needs_acknowledgement") and not one.get("acknowledged")
        ]

    def _unseen_groups(self) -> list[dict[str, Any]]:
        groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for one in self._unseen():
            groups.setdefault((one["model"], one["issue"]), []).append(one)
        return [
            {
                "model": model,
                "issue": issue,
                "count": len(group),
                "since": min(one["event_time"] for one in group),
                "newest_key": group[0]["cause_key"],
                "newest_at": group[0]["decided_at"],
                "reason": group[0]["reason"],
            }
            for (model, issue), group in groups.items()
        ]

    def _acknowledge(self, found: dict[str, Any], body: dict[str, Any]) -> tuple[int, bytes]:
        older = [
            one
            for one in self._unseen()
            if body.get("and_older")
            and (one["model"], one["id"] < found["id"]) == (found["model"], True)
            and body.get("issue") in (None, one["issue"])
        ]
        if len(older) > body.get("expected_older", len(older)):
            return _no(409, f"nothing was acknowledged: {len(older)} older decisions wait")
        said = {"actor": body["actor"], "note": body.get("note", ""), "at": self.now.isoformat()}
        for one in (found, *older):
            one["acknowledged"] = one["acknowledged"] or said
        done = {**found["acknowledged"], "acknowledged_older": len(older)}
        return 200, json.dumps({"cause_key": found["cause_key"], **done}).encode()

    def _inference(self) -> dict[str, Any]:
        model = {
            "name": self.model,
            **self.served,
            "device": "cpu",
            "since": self.now.isoformat(),
            "last_error": "",
        }
        return {
            "service": "inference",
            "ready": bool(self.served),
            "device": "cpu",
            "models": [model] if self.served else [],
            "release_log": {"last_error": ""},
            "spool": {"bytes": 2048, "bound": 1 << 30, "dropped": {}, "last_error": ""},
        }

    def _metrics(self, service: str) -> str:
        at = self.now.timestamp()
        return {
            "inference": f'homeostat_inference_last_prediction_timestamp_seconds{{model="{self.model}"}} {at - 4}\n',
            "shipper": "homeostat_shipper_backlog_bytes 0.0\n",
            "sink": 'homeostat_sink_lag_records{topic="homeostat.predictions"} 7.0\n'
            f'homeostat_sink_last_row_timestamp_seconds{{kind="predictions",model="{self.model}"}} {at - 8}\n'
            f'homeostat_sink_last_row_timestamp_seconds{{kind="outcomes",model="{self.model}"}} {at - 90}\n',
        }.get(service, "")

    def _act(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        kind, name, word = path.split("/")
        if kind == "runs":
            return self._answer_run(name, word, body)
        if kind == "causes":
            found = next((one for one in self.decisions if one["cause_key"] == name), None)
            if found is None:
                return _no(404, f"there is no cause {name}")
            return self._acknowledge(found, body)
        if body["expected_generation"] != len(self.releases):
            return _no(
                409,
                f"generation {body['expected_generation']} was expected to be served, but generation {len(self.releases)} is",
            )
        target = self.releases[body["to_generation"] - 1]
        self.release(VERSIONS.index(target["version"]), "rollback", body["actor"], body["reason"])
        return 201, json.dumps({"release": self.releases[-1]}).encode()

    def _answer_run(self, run_id: str, word: str, body: dict[str, Any]) -> tuple[int, bytes]:
        run = next((run for run in self.runs if run["run_id"] == run_id), None)
        if run is None:
            return _no(404, f"there is no run {run_id}")
        if run["state"] not in ("suggested", "waiting_for_approval"):
            return _no(409, f"run {run_id} is {run['state']}; only a run that waits can be answered")
        run["state"] = "rejected" if word == "reject" else "promoting"
        return 200, json.dumps(run).encode()


def full_loop(model: str = "flights") -> FakeLoop:
    """A loop with three releases, verdicts of several states, a run that waits for approval and an unacknowledged drift."""
    loop = FakeLoop(
        model=model,
        losses={
            "baseline_loss": 0.57,
            "served_loss": 0.51,
            "metric": "log_loss",
            "rows": 3571,
            "improvable": [{"known": "former", "text": "the former champion 0b has lost less"}],
            "policies": [
                {
                    "policy": "armed",
                    "runs": 3,
                    "training": 15.0,
                    "loss": 4.0,
                    "measured_rows": 1200,
                    "regret": 2.5,
                    "total": 19.0,
                }
            ],
        },
    )
    loop.release(0, "deployment", "ada")
    loop.release(1)
    loop.release(2, note="log_loss 0.62 → 0.58")
    for number in range(20):
        loop.verdict(number, ratio=0.3 + 0.03 * number)
    loop.verdict(20, "insufficient_data")
    loop.verdict(21, "data_fault")
    loop.verdict(22, "drift", ratio=1.8)
    loop.decision("a" * 32)
    loop.decision("b" * 32, action="retrain", reason_code="drift", state="drift")
    loop.run("run-old", "refused", gate=False)
    loop.run("run-new", "waiting_for_approval", gate=True, digest="d1")
    return loop


def busy_loop() -> FakeLoop:
    """A loop with more entries in every list than the console shows."""
    loop = full_loop()
    for number in range(100, 150):
        loop.verdict(number, "drift" if number % 3 == 0 else "ok", ratio=1.5 if number % 3 == 0 else 0.7)
    for number in range(60):
        loop.decision(f"{number:032x}", state="drift" if number < 3 else "ok")
    for number in range(30):
        loop.run(f"run-{number:032x}", "promoted", gate=True)
    for number in range(20):
        loop.release(number % 5)
    return loop


@contextmanager
def serving(loop: FakeLoop) -> Iterator[str]:
    """Serve the fake over HTTP on a free port; yields its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET", None)

        def do_POST(self) -> None:
            self._answer("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, method: str, body: Any) -> None:
            try:
                status, raw = loop.answer(method, self.path, body, self.headers.get("Authorization", ""))
            except ConnectionRefusedError:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    class Server(ThreadingHTTPServer):
        request_queue_size = (
            128  # more simultaneous polls than the default of five, which delays the rest by a second
        )

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def wire(loop: FakeLoop) -> httpx.MockTransport:
    """A transport that calls the fake without a network."""

    def handle(request: httpx.Request) -> httpx.Response:
        try:
            body = json.loads(request.content) if request.content else None
            path, sent = request.url.raw_path.decode(), request.headers.get("Authorization", "")
            status, raw = loop.answer(request.method, path, body, sent)
        except ConnectionRefusedError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        return httpx.Response(status, content=raw)

    return httpx.MockTransport(handle)


def endpoints(base: str, **changed: Any) -> Endpoints:
    """The endpoints of the fake's services."""
    found = {name: f"{base}/{name}" for name in SERVICES[1:]}
    return Endpoints(servers=(f"{base}/inference",), **{**found, **changed})


def _score(signal: str, feature: str, method: str, value: float, threshold: float) -> dict[str, Any]:
    return {
        "signal": signal,
        "feature": feature,
        "method": method,
        "value": value,
        "threshold": threshold,
        "exceeded": value > threshold,
    }


def _no(status: int, said: str) -> tuple[int, bytes]:
    return status, json.dumps({"error": said}).encode()
