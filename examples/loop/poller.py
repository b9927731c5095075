"""Polls drift and retraining over HTTP, in a thread, for the state of the loop."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

ALL = 400  # more verdicts and decisions than a year has
SETTLED_S = 3.0
NEWEST = 20  # what a table can show; a year of verdicts weighs a megabyte
WORKING = frozenset(
    {"queued", "snapshotting", "training", "packaging", "evaluating", "shadowing", "canarying", "promoting"}
)
TRAINED = frozenset({"promoted", "refused", "succeeded", "failed", "waiting_for_approval"})


@dataclass
class LoopView:
    """The latest state; lists newest first. `run_since` is the system time (seconds since 1970) when an active run began."""

    evaluated: datetime | None = None
    run_since: float | None = None
    runs: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""  # why the state is old, or the error that drift reports; empty if there is none


class LoopPoller:
    """Polls every `pause_s` seconds until `close`; if a service is unavailable, the last state is kept."""

    def __init__(self, drift: str, retraining: str, model: str, *, pause_s: float = 0.3) -> None:
        self.view = LoopView()
        self._drift, self._retraining, self._model = drift, retraining, model
        self._pause_s = pause_s
        self._client = httpx.Client(timeout=10.0, trust_env=False)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll_repeatedly, name="loop-poller", daemon=True)

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def close(self) -> None:
        """Poll once more, for everything, and stop."""
        self._over.set()
        self._thread.join(30)
        self.poll(ALL)
        self._client.close()

    def poll(self, limit: int = NEWEST) -> None:
        """Poll once, for the newest `limit` verdicts and decisions."""
        try:
            models = self._get(f"{self._drift}/status")["models"]
            ours = [item for item in models if item["model"] == self._model]
            runs = self._get(f"{self._retraining}/runs", limit=200)["runs"]
            decisions = self._get(f"{self._retraining}/decisions", limit=limit)["decisions"]
            verdicts = self._get(f"{self._drift}/verdicts", limit=limit)["verdicts"]
        except (httpx.HTTPError, KeyError, ValueError) as error:
            self.view.problem = f"{type(error).__name__}: {error}"
            return
        view = self.view
        if ours and ours[0].get("watermark"):
            view.evaluated = datetime.fromisoformat(ours[0]["watermark"])
        begun = [datetime.fromisoformat(run["created_at"]) for run in runs if run["state"] in WORKING]
        view.run_since = min(begun).timestamp() if begun else None
        view.runs, view.decisions, view.verdicts = runs, decisions, verdicts
        view.problem = str(ours[0].get("error") or "") if ours else ""

    def wait_for_runs(self, seconds: float, evaluated_until: datetime | None = None) -> None:
        """Wait until drift has evaluated what is due at that event time, if one is given, and no run has been active for
        `SETTLED_S`, so that reported states are final. The last verdict may start a run a moment later."""
        ends = time.monotonic() + seconds
        quiet_since: float | None = None
        while time.monotonic() < ends:
            self.poll()
            at = self.view.evaluated
            evaluated = evaluated_until is None or (at is not None and at >= evaluated_until)
            if not evaluated or self.view.run_since is not None:
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= SETTLED_S:
                return
            time.sleep(0.5)

    def _get(self, url: str, **params: int) -> Any:
        answer = self._client.get(url, params={"model": self._model, **params})
        answer.raise_for_status()
        return answer.json()

    def _poll_repeatedly(self) -> None:
        while not self._over.wait(self._pause_s):
            self.poll()
