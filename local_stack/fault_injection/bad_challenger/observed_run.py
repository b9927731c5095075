"""What retraining says of a run and of the release that follows it, read over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.errors import CallerError, DependencyUnavailable
from shared.http.service_client import ServiceClient, items

PAUSE_S = 0.5
WAITS = ("waiting_for_approval",)
PHASES = {"shadowing": "shadow", "canarying": "canary"}
WORKING = ("queued", "snapshotting", "training", "packaging", "evaluating", "promoting")
Found = TypeVar("Found")


@dataclass(frozen=True)
class ObservedRun:
    """One run of `model`."""

    retraining: ServiceClient
    model: str
    run_id: str
    actor: str

    def state(self) -> dict[str, Any]:
        """The run as it is now."""
        return dict(self.retraining.get(f"/runs/{self.run_id}"))

    def after_work(self, *, within_s: float) -> dict[str, Any]:
        """The run once it has passed the gate and works no more, approved where it waits for a person.

        Raises CallerError if it ended without: then there is no challenger to take back.
        """
        ends = time.monotonic() + within_s
        while True:
            run = self.state()
            if run["state"] in WAITS:
                self.retraining.post(f"/runs/{self.run_id}/approve", {"actor": self.actor})
            elif run["state"] in PHASES or run["state"] == "promoted":
                return run
            elif run["state"] not in WORKING:
                raise CallerError(
                    f"the run ended as {run['state']} before its version was served: {run['reason']}",
                    hint=f"`homeostat run show {self.run_id}` shows its steps; the training must use the feature that leaks",
                )
            if time.monotonic() > ends:
                raise DependencyUnavailable(
                    f"run {self.run_id} is still {run['state']} after {within_s:g} s",
                    hint=f"`homeostat run show {self.run_id}` shows how it goes on",
                )
            time.sleep(PAUSE_S)

    def watch(self) -> dict[str, Any] | None:
        """The watch of the release of this run; None while there is none."""
        answer = self.retraining.get(f"/models/{self.model}/releases")
        return next((one for one in answer["watches"] if one["run_id"] == self.run_id), None)

    def ended_watch(self) -> dict[str, Any] | None:
        """The watch, once it has ended."""
        watch = self.watch()
        return watch if watch is not None and watch["ended_at"] is not None else None


def start_run(retraining: ServiceClient, model: str, reason: str, actor: str) -> str:
    """Request a run, or find the one in progress; its id. Raises CallerError if none may start."""
    body: dict[str, object] = {"model": model, "reason": reason, "actor": actor}
    [cause] = retraining.post("/triggers", body)["causes"]
    if cause.get("run_id") and cause["action"] == "retrain":
        return str(cause["run_id"])
    if cause["reason_code"] == "run_in_progress":
        runs = items(retraining.get("/runs", model=model, limit=5), "runs")
        found = next((run for run in runs if run["state"] in (*WORKING, *WAITS, *PHASES)), None)
        if found is not None:
            return str(found["run_id"])
    raise CallerError(
        f"no run starts: {cause['reason']}", hint=f"`homeostat why-not {model}` shows what holds it back"
    )


def wait_until(look: Callable[[], Found | None], within_s: float) -> Found | None:
    """What `look` finds within that time; None if nothing."""
    ends = time.monotonic() + within_s
    while (found := look()) is None and time.monotonic() < ends:
        time.sleep(PAUSE_S)
    return found
