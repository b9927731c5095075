"""The steps of a run. Steps are idempotent: any process may repeat a step, which keeps finished work and does the rest.

    snapshot → train → package → evaluate → promote

The run's state in the ledger determines the next step; other states need none, such as phases between evaluate and promote.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event

from services.retraining.dependencies import Dependencies
from services.retraining.launchers.project_folder import check_project_folder, trusted_roots
from services.retraining.ledger.records import Run
from services.retraining.rollout.release_checks import CanaryEnded
from services.retraining.rollout.stored_model import verify_stored
from services.retraining.run_states import SERVICE_DIED, State, after_gate
from services.retraining.runs.champion_files import fetch_champion
from services.retraining.runs.data_snapshot import (
    SnapshotSummary,
    problem_with,
    take_snapshot,
    verify_snapshot,
)
from services.retraining.runs.evaluation_step import evaluate
from services.retraining.runs.gate import compared
from services.retraining.runs.promotion import foreclose, promoted_by
from services.retraining.runs.reference_rows import write_reference
from services.retraining.runs.rolled_back_rows import pin_rows
from services.retraining.runs.step_starts import counted_start, given_up
from services.retraining.runs.training import train, trained_attempt
from services.retraining.runs.workspace import RunFolder
from services.retraining.snapshots.pin import Pin
from shared.backoff import Backoff
from shared.contracts.manifest import Origin, short
from shared.errors import (
    Conflict,
    HomeostatError,
    IntegrityError,
    NotFound,
    OperatorError,
    ProjectError,
    TrainingFailed,
)
from shared.models.signed_versions.packaging import package_version
from shared.models.training.training_outputs import find_model
from shared.models.training.training_process import Interrupted
from shared.observability.logs import get_logger, log_unknown_error

_BACKOFF = Backoff(first_s=1.0, max_s=30.0)
_log = get_logger(__name__)


class Pipeline:
    """Executes the steps of runs. When `stop` is set, a step ends soon; the next leader repeats it.

    `retries`: how often a step is retried while a store or disk is unavailable; None for without end.
    """

    def __init__(self, deps: Dependencies, stop: Event, retries: int | None = None) -> None:
        self._deps = deps
        self._stop = stop
        self._retries = retries
        self._steps: dict[State, tuple[str, Callable[[Run, RunFolder], Run]]] = {
            "queued": ("snapshot", self._snapshot),
            "snapshotting": ("snapshot", self._snapshot),
            "training": ("train", self._train),
            "packaging": ("package", self._package),
            "evaluating": ("evaluate", self._evaluate),
            "promoting": ("promote", self._promote),
        }

    def step(self, run_id: str) -> State:
        """Execute the step for the run's state; returns the new state. Raises Interrupted when the service stops, and the
        OperatorError or OSError that remains after `retries`.

        An error of the project or the data ends the run; while a store or disk is unavailable, the step is retried. A step in
        which the service died `attempts` times is given up.
        """
        with counted_start(self._deps.ledger, run_id) as run:
            if run.state not in self._steps:
                return run.state
            name, _ = self._steps[run.state]
            if run.step_starts > self._deps.settings.attempts:
                reason = given_up(name, run.step_starts - 1)
                return self._end(run_id, "abandoned", SERVICE_DIED, reason).state
            return self._try(run_id, name)

    def _try(self, run_id: str, name: str) -> State:
        failures = 0
        while True:
            if self._stop.is_set():
                raise Interrupted(run_id)
            try:
                run = self._deps.ledger.run(run_id)
                if run.state not in self._steps:
                    return run.state
                name, work = self._steps[run.state]
                started = time.perf_counter()
                run = work(run, RunFolder(self._deps.runs / run_id))
                self._deps.metrics.step_seconds.labels(name).observe(time.perf_counter() - started)
                return run.state
            except CanaryEnded as error:
                return self._end(run_id, "rejected", "withdrawn", str(error)).state
            except Conflict as error:
                return self._end(run_id, "refused", "champion_changed", str(error)).state
            except (ProjectError, IntegrityError, NotFound) as error:
                return self._end(run_id, "failed", _code(error), str(error)).state
            except (OperatorError, OSError) as error:
                failures += 1
                pause = _BACKOFF.pause(failures)
                self._deps.metrics.step_failures.labels(name).inc()
                if self._retries is not None and failures > self._retries:
                    raise
                _log.warning("step_retrying", run_id=run_id, step=name, problem=str(error), pause=pause)
                if self._stop.wait(pause):
                    raise Interrupted(run_id) from error
            except Exception as error:
                error_id = log_unknown_error(_log, error)
                reason = f"unexpected error in step {name}; see error {error_id} in the log"
                return self._end(run_id, "failed", "unknown", reason).state

    def _snapshot(self, run: Run, folder: RunFolder) -> Run:
        deps = self._deps
        folder.create(is_new=run.state == "queued")
        if run.state == "queued":
            run = self._transition(run, "snapshotting")
        summary = None
        if run.lake is not None:
            # Old versions are kept for an hour only: after a longer pause of this service, newer rows are as good.
            with suppress(NotFound):
                summary = take_snapshot(deps.lake, run.loop, Pin.of_json(run.lake), run.change_since, folder)
        if summary is None:
            pin = pin_rows(deps, run)
            if pin is None:
                reason = f"the lake has no predictions with outcomes of {run.model} yet"
                return self._end(run.run_id, "abandoned", "no_data", reason)
            served = deps.store.live_release(run.model)
            # Versions are in the ledger before anything is read of them, so that a resumed step reads the same rows.
            run = self._transition(
                run, "snapshotting", lake=pin.to_json(), champion=served.version if served else ""
            )
            summary = take_snapshot(deps.lake, run.loop, pin, run.change_since, folder)
        problem = problem_with(summary, run.loop, folder)
        if problem:
            return self._end(run.run_id, "abandoned", "unfit_data", problem, snapshot=asdict(summary))
        fetch_champion(deps.store, deps.keys, run, folder)
        return self._transition(run, "training", snapshot=asdict(summary))

    def _train(self, run: Run, folder: RunFolder) -> Run:
        deps = self._deps
        if trained_attempt(folder) is None:
            run = self._transition(run, "training", attempts=run.attempts + 1)
        policy = run.loop.require_performance().retraining
        directory = Path(run.directory)
        if trained_attempt(folder) is None:
            # Again: it may have changed since it was deployed.
            directory = check_project_folder(directory, trusted_roots(deps.settings.project_roots))
        train(
            deps.launcher,
            run_id=run.run_id,
            command=policy.command,
            passed=policy.environment,
            limits=run.loop.training,
            directory=directory,
            time_limit=policy.time_limit,
            folder=folder,
            attempt=run.attempts,
            stop=self._stop,
        )
        return self._transition(run, "packaging")

    def _package(self, run: Run, folder: RunFolder) -> Run:
        deps = self._deps
        done = trained_attempt(folder)
        if done is None or run.snapshot is None:
            raise TrainingFailed("the trained model is missing from the run's folder", hint="start a new run")
        folder.require_holdout()
        summary = SnapshotSummary(**run.snapshot)
        verify_snapshot(summary, folder)
        attempt, metrics = done
        model = find_model(folder.attempt(attempt) / "out")
        write_reference(
            folder, model, run.loop, max_rows=deps.settings.reference_rows, open_model=deps.open_model
        )
        draft = folder.evaluation / ".version"
        shutil.rmtree(draft, ignore_errors=True)
        manifest = package_version(
            draft,
            loop=run.loop,
            model=model,
            reference=folder.reference,
            origin=Origin(
                kind="run",
                run_id=run.run_id,
                cause_key=run.cause_key,
                snapshot=f"{summary.digest} lake {summary.pin['predictions']}/{summary.pin['outcomes']}",
                parent=run.champion,
                trained_until=summary.train_until,
            ),
            metrics=metrics,
            signing_key=deps.keys.signing,
        )
        shutil.rmtree(folder.version, ignore_errors=True)
        draft.rename(folder.version)
        deps.store.put_version(run.model, manifest.version, folder.version)
        return self._transition(run, "evaluating", version=manifest.version)

    def _evaluate(self, run: Run, folder: RunFolder) -> Run:
        deps = self._deps
        if run.gate is None:
            result = evaluate(deps, run, folder)
            deps.ledger.record_gate(
                run.run_id,
                passed=result.passed,
                digest=result.digest,
                result=result.to_json(),
                now=deps.clock(),
            )
            run = deps.ledger.run(run.run_id)
        assert run.gate is not None
        reason = run.gate["reason"]
        if not run.gate["passed"]:
            return self._end(run.run_id, "refused", "gate", reason)
        if not compared(run.gate):
            return self._transition(run, "waiting_for_approval", reason_code="not_compared", reason=reason)
        if run.loop.automation == "auto":
            to = after_gate(run.loop.rollout, run.champion)
            return self._transition(run, to, reason_code="gate_passed", reason=reason)
        if run.loop.automation == "retrain":
            return self._end(
                run.run_id,
                "succeeded",
                "gate_passed",
                f"{reason}; deploy version {short(run.version)} to serve it",
            )
        return self._transition(run, "waiting_for_approval", reason_code="gate_passed", reason=reason)

    def _promote(self, run: Run, folder: RunFolder) -> Run:
        """1. verify that the gate result is for these bytes   2. verify the approval, if one is required   3. release"""
        deps = self._deps
        actor = promoted_by(run, deps.ledger.answers(run.run_id))
        self.verify_stored(run.model, run.version)
        done = deps.releaser.promote(
            run.model,
            version=run.version,
            champion=run.champion,
            actor=actor,
            run_id=run.run_id,
            cause_key=run.cause_key,
            note=run.reason,
            after_canary=deps.ledger.phases.find(run.run_id, "canary") is not None,
        )
        return self._end(run.run_id, "promoted", run.reason_code, run.reason, generation=done.generation)

    def verify_stored(self, model: str, version: str) -> None:
        """See `stored_model.verify_stored`."""
        verify_stored(self._deps.store, self._deps.keys, model, version)

    def _transition(self, run: Run, to: State, **values: object) -> Run:
        updated = self._deps.ledger.transition(run.run_id, to, self._deps.clock(), **values)
        if run.state != to:
            _log.info(
                "run_state_changed", run_id=run.run_id, cause_id=run.cause_key, model=run.model, state=to
            )
        return updated

    def _end(self, run_id: str, to: State, reason_code: str, reason: str, **values: object) -> Run:
        ending = self._deps.ledger.run(run_id)
        if (
            ending.state == "promoting"
            and to != "promoted"
            and (done := foreclose(self._deps, ending, reason))
        ):
            to, reason_code, reason = "promoted", ending.reason_code, ending.reason
            values = {"generation": done.generation}
        updated = self._deps.ledger.transition(
            run_id, to, self._deps.clock(), reason_code=reason_code, reason=reason, **values
        )
        self._deps.metrics.count_end(updated.model, to, updated.created_at, updated.ended_at)
        _log.info(
            "run_ended",
            run_id=run_id,
            cause_id=updated.cause_key,
            model=updated.model,
            state=to,
            reason_code=reason_code,
            reason=reason,
        )
        return updated


def _code(error: HomeostatError) -> str:
    return {"TrainingFailed": "training", "UnservableModel": "model", "IntegrityError": "tampered"}.get(
        type(error).__name__, "project"
    )
