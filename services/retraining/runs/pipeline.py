"""The steps of a run. A step may be repeated any number of times, by any process: it finds what is done and does the rest.

    freeze → train → package → judge → promote

The run's state in the ledger names the next step; a run in any other state needs none.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from threading import Event

import pyarrow.parquet as pq

from services.retraining.dependencies import Parts
from services.retraining.ledger.records import Run
from services.retraining.run_states import State
from services.retraining.runs.evaluation import compare
from services.retraining.runs.gate import compared, digest_of
from services.retraining.runs.reference_rows import write_reference
from services.retraining.runs.snapshot import Pin, SnapshotSummary, freeze, pin_lake, problem_with
from services.retraining.runs.training import train, trained_attempt
from services.retraining.runs.workspace import RunFolder
from shared.backoff import Backoff
from shared.contracts.manifest import MODEL, Origin, short
from shared.errors import (
    Conflict,
    HomeostatError,
    IntegrityError,
    NotFound,
    OperatorError,
    ProjectError,
    TrainingFailed,
)
from shared.models.packaging import package_version, verify_version
from shared.models.training_command import Interrupted
from shared.observability.logs import get_logger, log_unknown_error

_BACKOFF = Backoff(first_s=1.0, max_s=30.0)

_log = get_logger(__name__)


class Pipeline:
    """Takes runs from state to state. `stop` makes every step give up soon, to be begun again by whoever comes next."""

    def __init__(self, parts: Parts, stop: Event) -> None:
        self._parts = parts
        self._stop = stop
        self._steps: dict[State, tuple[str, Callable[[Run, RunFolder], Run]]] = {
            "queued": ("freeze", self._freeze),
            "freezing": ("freeze", self._freeze),
            "training": ("train", self._train),
            "packaging": ("package", self._package),
            "judging": ("judge", self._judge),
            "promoting": ("promote", self._promote),
        }

    def step(self, run_id: str) -> State:
        """Do the step that the run's state names; the state afterwards. Raises Interrupted when the service stops.

        The kind of error decides: one of the project or the data ends the run; while a store or disk is unavailable, the step
        is retried.
        """
        name = "read"
        failures = 0
        while True:
            if self._stop.is_set():
                raise Interrupted(run_id)
            try:
                run = self._parts.ledger.run(run_id)
                if run.state not in self._steps:
                    return run.state
                name, work = self._steps[run.state]
                started = time.perf_counter()
                run = work(run, RunFolder(self._parts.runs / run_id))
                self._parts.metrics.step_seconds.labels(name).observe(time.perf_counter() - started)
                return run.state
            except Conflict as error:
                return self._end(run_id, "refused", "champion_changed", str(error)).state
            except (ProjectError, IntegrityError, NotFound) as error:
                return self._end(run_id, "failed", _code(error), str(error)).state
            except (OperatorError, OSError) as error:
                failures += 1
                pause = _BACKOFF.pause(failures)
                self._parts.metrics.step_failures.labels(name).inc()
                _log.warning("step_retrying", run_id=run_id, step=name, problem=str(error), pause=pause)
                if self._stop.wait(pause):
                    raise Interrupted(run_id) from error
            except Exception as error:
                told = f"step {name} broke unexpectedly; the log has error {log_unknown_error(_log, error)}"
                return self._end(run_id, "failed", "unknown", told).state

    def _freeze(self, run: Run, folder: RunFolder) -> Run:
        parts = self._parts
        if run.state == "queued":
            run = self._move(run, "freezing")
        if run.lake is None:
            # Pinned in the ledger before anything is read: whoever resumes reads the same rows.
            faulty = parts.ledger.faulty_windows(run.model) if parts.settings.bad_windows else []
            pin = pin_lake(parts.lake, run.model, faulty, parts.clock())
            if pin is None:
                return self._end(
                    run.run_id,
                    "abandoned",
                    "no_data",
                    f"the lake holds no predictions with outcomes of {run.model} yet",
                )
            served = parts.store.latest_release(run.model)
            run = self._move(run, "freezing", lake=pin.to_json(), champion=served.version if served else "")
        assert run.lake is not None
        folder.root.mkdir(parents=True, exist_ok=True)
        summary = freeze(parts.lake, run.loop, Pin.of_json(run.lake), run.change_since, folder)
        problem = problem_with(summary, run.loop, folder)
        if problem:
            return self._end(run.run_id, "abandoned", "unfit_data", problem, snapshot=asdict(summary))
        self._fetch_champion(run, folder)
        return self._move(run, "training", snapshot=asdict(summary))

    def _fetch_champion(self, run: Run, folder: RunFolder) -> None:
        if not run.champion or folder.champion.is_dir():
            return
        draft = folder.root / ".champion"
        shutil.rmtree(draft, ignore_errors=True)
        self._parts.store.get_version(run.model, run.champion, draft)
        verify_version(draft, version=run.champion, verifying_key=self._parts.keys.verifying)
        draft.rename(folder.champion)

    def _train(self, run: Run, folder: RunFolder) -> Run:
        parts = self._parts
        if trained_attempt(folder) is None:
            if run.attempts >= parts.settings.attempts:
                raise TrainingFailed(
                    f"the training was begun {run.attempts} times and its service died each time",
                    hint="look at the memory it needs",
                )
            run = self._move(run, "training", attempts=run.attempts + 1)
        policy = run.loop.retraining
        train(
            parts.launcher,
            run_id=run.run_id,
            command=policy.command,
            directory=Path(run.directory),
            time_limit=policy.time_limit,
            folder=folder,
            attempt=run.attempts,
            stop=self._stop,
        )
        return self._move(run, "packaging")

    def _package(self, run: Run, folder: RunFolder) -> Run:
        parts = self._parts
        done = trained_attempt(folder)
        if done is None or run.snapshot is None:
            raise TrainingFailed("the trained model is gone from the run's folder", hint="ask for a new run")
        attempt, metrics = done
        model = folder.attempt(attempt) / "out" / MODEL
        write_reference(folder, model, run.loop, most_rows=parts.settings.reference_rows)
        summary = SnapshotSummary(**run.snapshot)
        draft = folder.root / ".version"
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
            signing_key=parts.keys.signing,
        )
        shutil.rmtree(folder.version, ignore_errors=True)
        draft.rename(folder.version)
        parts.store.put_version(run.model, manifest.version, folder.version)
        return self._move(run, "judging", version=manifest.version)

    def _judge(self, run: Run, folder: RunFolder) -> Run:
        parts = self._parts
        if run.gate is None:
            manifest = verify_version(folder.version, version=run.version, verifying_key=parts.keys.verifying)
            champion = (
                verify_version(folder.champion, version=run.champion, verifying_key=parts.keys.verifying)
                if run.champion
                else None
            )
            result = compare(
                manifest.loop,
                pq.read_table(folder.holdout),
                version=run.version,
                challenger=folder.version / MODEL,
                champion_version=run.champion,
                champion=folder.champion / MODEL if champion else None,
                champion_spec=champion.loop if champion else None,
                calls=parts.settings.latency_calls,
            )
            parts.ledger.record_gate(
                run.run_id,
                passed=result.passed,
                digest=result.digest,
                result=result.to_json(),
                now=parts.clock(),
            )
            run = parts.ledger.run(run.run_id)
        assert run.gate is not None
        sentence = run.gate["sentence"]
        if not run.gate["passed"]:
            return self._end(run.run_id, "refused", "gate", sentence)
        if not compared(run.gate):
            return self._move(run, "waiting_for_approval", code="not_compared", message=sentence)
        if run.loop.automation == "auto":
            return self._move(run, "promoting", code="gate_passed", message=sentence)
        if run.loop.automation == "retrain":
            return self._end(
                run.run_id,
                "succeeded",
                "gate_passed",
                f"{sentence}; deploy version {short(run.version)} to serve it",
            )
        return self._move(run, "waiting_for_approval", code="gate_passed", message=sentence)

    def _promote(self, run: Run, folder: RunFolder) -> Run:
        """1. the proof is about these very bytes   2. a person said yes to that proof, where one must   3. release"""
        parts = self._parts
        if run.gate is None or not run.gate["passed"] or run.gate["version"] != run.version:
            raise IntegrityError(f"run {run.run_id} has no passed gate for version {short(run.version)}")
        if digest_of(run.gate) != run.gate_digest:
            raise IntegrityError(f"the gate result of run {run.run_id} was changed after it was recorded")
        actor = "loop"
        if run.loop.automation != "auto" or not compared(run.gate):
            yes = [
                one
                for one in parts.ledger.answers(run.run_id)
                if one["about"] == "promotion" and one["answer"] == "yes"
            ]
            if not yes or yes[-1]["gate_digest"] != run.gate_digest:
                raise IntegrityError(
                    f"run {run.run_id} has no approval of the gate result it would be promoted on"
                )
            actor = yes[-1]["actor"]
        self.verify_stored(run.model, run.version)
        done = parts.releaser.promote(
            run.model,
            version=run.version,
            champion=run.champion,
            actor=actor,
            run_id=run.run_id,
            cause_key=run.cause_key,
            note=run.message,
        )
        return self._end(run.run_id, "promoted", run.code, run.message, generation=done.generation)

    def verify_stored(self, model: str, version: str) -> None:
        """Check every byte of a version in the store. Raises IntegrityError, NotFound."""
        with tempfile.TemporaryDirectory(prefix="homeostat-") as place:
            self._parts.store.get_version(model, version, Path(place) / "version")
            verify_version(Path(place) / "version", version=version, verifying_key=self._parts.keys.verifying)

    def _move(self, run: Run, to: State, **values: object) -> Run:
        moved = self._parts.ledger.move(run.run_id, to, self._parts.clock(), **values)
        if run.state != to:
            _log.info("run_moved", run_id=run.run_id, cause_id=run.cause_key, model=run.model, state=to)
        return moved

    def _end(self, run_id: str, to: State, code: str, message: str, **values: object) -> Run:
        moved = self._parts.ledger.move(run_id, to, self._parts.clock(), code=code, message=message, **values)
        self._parts.metrics.count_end(moved.model, to, moved.created_at, moved.ended_at)
        _log.info(
            "run_ended",
            run_id=run_id,
            cause_id=moved.cause_key,
            model=moved.model,
            state=to,
            code=code,
            reason=message,
        )
        return moved


def _code(error: HomeostatError) -> str:
    return {"TrainingFailed": "training", "UnservableModel": "model", "IntegrityError": "tampered"}.get(
        type(error).__name__, "project"
    )
