"""The steps of a run without processes: failures end with a reason, and a crash at any time changes nothing."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from sqlalchemy import update

from services.retraining.cause import Cause
from services.retraining.controller import Controller
from services.retraining.dependencies import Dependencies
from services.retraining.ledger.approvals.answering import Authority
from services.retraining.ledger.engine import open_engine, writing
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.phases import Phase
from services.retraining.ledger.records import Run
from services.retraining.ledger.tables import run as run_table
from services.retraining.ledger.watches import Watch
from services.retraining.metrics import RetrainingMetrics
from services.retraining.run_states import WORKING, State
from services.retraining.runs.gate import digest_of
from services.retraining.runs.pipeline import Pipeline
from services.retraining.runs.workspace import RunFolder
from services.retraining.settings import RetrainingSettings
from shared.contracts.gate.rollout_spec import Canary, Rollout
from shared.errors import Conflict, IntegrityError, TrainingFailed
from shared.models.training.training_process import Interrupted, TrainingJob
from shared.stores.lake import Lake
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_installation import (
    MODEL,
    START,
    Installation,
    fill_lake,
    make_installation,
    package_poor_champion,
)
from tests.unit.services.retraining.rollout.test_release_annotations import Pinboard


class Killed(BaseException):
    """`kill -9`, for one thread."""


@dataclass
class CopyingLauncher:
    """ "Trains" by handing out a model trained before; remembers its jobs."""

    model: bytes
    metrics: bytes = b'{"loss": 0.5}'
    jobs: list[TrainingJob] = field(default_factory=list)
    raises: BaseException | None = None
    on_train: Callable[[TrainingJob], None] = lambda _: None

    def train(self, job: TrainingJob, stop: Event) -> None:
        self.jobs.append(job)
        self.on_train(job)
        if self.raises is not None:
            raise self.raises
        out = Path(job.environment["HOMEOSTAT_OUT"])
        (out / "model.onnx").write_bytes(self.model)
        (out / "metrics.json").write_bytes(self.metrics)


@dataclass(frozen=True)
class Setup:
    """A installation with the champion served, and a launcher that hands out a good model."""

    installation: Installation
    deps: Dependencies
    launcher: CopyingLauncher
    stop: Event

    @property
    def ledger(self) -> Ledger:
        return self.deps.ledger

    def controller(self) -> Controller:
        return Controller(self.deps, Pipeline(self.deps, self.stop), lambda: None)

    def ask(self, key: str = "k") -> str:
        cause = Cause(key, MODEL, "request", "please", event_time=START + timedelta(days=30))
        return self.controller().handle_cause(cause).run_id

    def drive(self, run_id: str, deps: Dependencies | None = None) -> Run:
        pipeline = Pipeline(deps or self.deps, self.stop)
        while pipeline.step(run_id) in WORKING:
            pass
        return self.ledger.run(run_id)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return make_installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture(scope="module")
def good_model(template: Installation) -> bytes:
    version = package_poor_champion(
        template.project.parent, template.spec, template.store, template.keys, slope=2.0
    )
    return template.store.get_file(MODEL, version, "model.onnx")


@pytest.fixture
def setup(template: Installation, good_model: bytes, tmp_path: Path) -> Setup:
    return open_setup(template, good_model, tmp_path)


def open_setup(template: Installation, good_model: bytes, place: Path, **loop: Any) -> Setup:
    shutil.copytree(template.project.parent, place, dirs_exist_ok=True)
    home = place / "home"
    from shared.models.signed_versions.installation_keys import Keys
    from shared.stores.lake import Lake
    from shared.stores.model_store import open_model_store

    keys = Keys(home / "keys")
    store = open_model_store((home / "models").as_uri(), keys)
    installation = replace(
        template,
        home=home,
        project=place / "project",
        store=store,
        lake=Lake(str(home / "lake")),
        keys=keys,
    )
    launcher = CopyingLauncher(good_model)
    deps = Dependencies(
        ledger=Ledger(open_engine(f"sqlite:///{home / 'ledger.sqlite'}")),
        store=store,
        lake=installation.lake,
        keys=installation.keys,
        launcher=launcher,
        open_model=open_in_process,
        runs=home / "runs",
        settings=RetrainingSettings(latency_calls=5),
        metrics=RetrainingMetrics(),
        clock=lambda: datetime.now(UTC),
    )
    made = Setup(installation, deps, launcher, Event())
    made.controller().deploy(MODEL, installation.champion, str(installation.project), "ann")
    if loop:
        project = made.ledger.project(MODEL)
        assert project is not None
        made.ledger.record_project(
            MODEL,
            project.directory,
            project.loop.model_copy(update=loop),
            installation.champion,
            "ann",
            datetime.now(UTC),
        )
    return made


def test_good_challenger_is_promoted_with_lineage(setup: Setup) -> None:
    run = setup.drive(setup.ask())
    assert (run.state, run.reason_code, run.generation, run.attempts) == ("promoted", "gate_passed", 2, 1)
    release = setup.installation.store.live_release(MODEL)
    assert release is not None
    assert (release.version, release.run_id, release.cause_key, release.reason) == (
        run.version,
        run.run_id,
        "k",
        "promotion",
    )
    manifest = setup.installation.store.manifest(MODEL, run.version)
    assert (manifest.origin.run_id, manifest.origin.cause_key, manifest.origin.parent) == (
        run.run_id,
        "k",
        setup.installation.champion,
    )
    assert run.snapshot is not None
    assert manifest.origin.snapshot == f"{run.snapshot['digest']} lake 0/0"
    assert manifest.metrics == {"loss": 0.5}
    assert run.gate is not None
    assert run.gate["champion_loss"] > run.gate["challenger_loss"]
    [entry] = setup.ledger.releases_of_version(run.version)
    assert entry["generation"] == 2


def test_reference_has_latest_rows_with_scores(setup: Setup, tmp_path: Path) -> None:
    run = setup.drive(setup.ask())
    (tmp_path / "r.parquet").write_bytes(
        setup.installation.store.get_file(MODEL, run.version, "reference.parquet")
    )
    rows = pq.read_table(tmp_path / "r.parquet")
    assert rows.column_names == ["event_time", "x", "color", "outcome", "prediction_id", "score"]
    assert rows.num_rows == 2383 + 481
    event_times = rows["event_time"].to_pylist()
    assert event_times == sorted(event_times)
    assert 0 < min(rows["score"].to_pylist()) < max(rows["score"].to_pylist()) < 1


def test_reference_is_bounded_to_newest_rows(setup: Setup, tmp_path: Path) -> None:
    bounded = replace(setup.deps, settings=setup.deps.settings.model_copy(update={"reference_rows": 600}))
    run = setup.drive(setup.ask(), bounded)
    (tmp_path / "r.parquet").write_bytes(
        setup.installation.store.get_file(MODEL, run.version, "reference.parquet")
    )
    rows = pq.read_table(tmp_path / "r.parquet")
    assert rows.num_rows == 600
    assert run.snapshot is not None
    assert rows["event_time"][-1].as_py().isoformat() == run.snapshot["holdout_until"]


def test_training_gets_its_folders(setup: Setup) -> None:
    run = setup.drive(setup.ask())
    [job] = setup.launcher.jobs
    folder = RunFolder(setup.deps.runs / run.run_id)
    assert job.directory == setup.installation.project
    assert job.environment == {
        "HOMEOSTAT_TRAIN": str(folder.snapshot / "train.parquet"),
        "HOMEOSTAT_CHAMPION": str(folder.champion_for_training),
        "HOMEOSTAT_OUT": str(folder.attempt(1) / "out"),
    }
    assert {path.name for path in folder.champion_for_training.iterdir()} == {"manifest.json", "model.onnx"}


def test_run_whose_folder_somebody_has_planted_fails(setup: Setup) -> None:
    run_id = setup.ask()
    planted = RunFolder(setup.deps.runs / run_id).root
    planted.mkdir(parents=True)
    (planted / "trained.json").write_text('{"attempt": 1}')
    run = setup.drive(run_id)
    assert (run.state, run.reason_code, setup.launcher.jobs) == ("failed", "tampered", [])


def test_training_command_cannot_find_the_holdout(setup: Setup) -> None:
    """No file in or above the folders that it receives, nor in any run's folder, has a row of the holdout's time.

    The second run follows at once: its champion was evaluated on the same holdout.
    """
    newest: dict[Path, datetime] = {}

    def search(job: TrainingJob) -> None:
        known = [job.directory, *(Path(value) for value in job.environment.values() if value)]
        all_runs = job.attempts.parent.parent
        for place in (*known, all_runs):
            found = place.rglob("*") if place.is_dir() else [place]
            # Above the installation there are files of others.
            inside = [above for above in place.parents if above.is_relative_to(setup.installation.home)]
            for path in (*found, *(one for above in inside for one in above.glob("*.parquet"))):
                if path.suffix == ".parquet" and path.is_file():
                    newest[path] = max(pq.read_table(path, columns=["event_time"])["event_time"].to_pylist())

    setup.launcher.on_train = search
    for key, trainings in (("first", 1), ("second", 2)):
        run = setup.drive(setup.ask(key))
        assert run.snapshot is not None
        assert len(newest) == trainings
        assert max(newest.values()) < datetime.fromisoformat(run.snapshot["holdout_from"])
        assert RunFolder(setup.deps.runs / run.run_id).holdout.is_file()


def test_deleted_holdout_ends_the_run(setup: Setup) -> None:
    def delete(job: TrainingJob) -> None:
        RunFolder(job.attempts.parent).holdout.unlink()

    setup.launcher.on_train = delete
    run = setup.drive(setup.ask())
    assert (run.state, "was deleted" in run.reason, run.reason.endswith("start a new run)")) == (
        "failed",
        True,
        True,
    )


def test_failed_training_ends_the_run(setup: Setup) -> None:
    setup.launcher.raises = TrainingFailed(
        "the training command failed with exit code 3; its last lines:\nno luck"
    )
    run = setup.drive(setup.ask())
    assert (run.state, run.reason_code) == ("failed", "training")
    assert run.reason.endswith("no luck")
    assert setup.installation.store.latest_generation(MODEL) == 1


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (b'{"loss": NaN}', "metrics.json is not valid JSON"),
        (b'{"loss": "low"}', 'loss is "low"; expected a finite number'),
        (b'{"loss": 1e999}', "metrics.json"),
        (b'{"loss": true}', "loss is true"),
        (b"[1]", "is not a JSON object"),
        (b"", "metrics.json is not valid JSON"),
    ],
)
def test_non_finite_metrics_end_the_run(setup: Setup, metrics: bytes, expected: str) -> None:
    setup.launcher.metrics = metrics
    run = setup.drive(setup.ask())
    assert (run.state, run.reason_code) == ("failed", "training")
    assert expected in run.reason


def test_broken_model_ends_the_run(setup: Setup) -> None:
    setup.launcher.model = b"not a model"
    run = setup.drive(setup.ask())
    assert (run.state, run.reason_code) == ("failed", "model")
    assert setup.installation.store.latest_generation(MODEL) == 1


def test_worse_challenger_is_refused(setup: Setup) -> None:
    setup.launcher.model = setup.installation.store.get_file(MODEL, setup.installation.champion, "model.onnx")
    run = setup.drive(setup.ask())
    assert (run.state, run.reason_code) == ("refused", "gate")
    assert "gain +0.00000" in run.reason
    assert setup.installation.store.latest_generation(MODEL) == 1


def test_second_refused_run_on_the_same_holdout_needs_more_confidence(setup: Setup) -> None:
    setup.launcher.model = setup.installation.store.get_file(MODEL, setup.installation.champion, "model.onnx")
    measured = []
    for key in ("first", "second"):
        run = setup.drive(setup.ask(key))
        assert (run.state, run.reason_code) == ("refused", "gate")
        assert run.gate is not None
        measured.append(run.gate["measures"]["attempt"])
    assert measured == [1, 2]
    assert "attempt 2 against this champion" in run.reason


def test_run_after_a_rollback_is_judged_on_rows_since_the_release_that_was_taken_back(setup: Setup) -> None:
    since = START + timedelta(days=28)
    watch = Watch(MODEL, 2, "b", "a", 1, "promotion", "run-0", "log_loss", 0.0, START, "rolled_back")
    setup.ledger.watches.begin(replace(watch, rows_from=since))
    run = setup.drive(setup.ask())
    assert run.state == "promoted"
    assert run.snapshot is not None
    assert run.snapshot["holdout_from"] == since.isoformat()


def test_unfit_data_ends_the_run_without_cost(
    template: Installation, good_model: bytes, tmp_path: Path
) -> None:
    policy = template.spec.require_performance().retraining.model_copy(update={"minimum_rows": 10_000})
    setup = open_setup(template, good_model, tmp_path, retraining=policy)
    run = setup.drive(setup.ask())
    assert (run.state, run.reason_code) == ("abandoned", "unfit_data")
    assert run.reason.startswith("2383 training rows with outcomes from the first row until 2013-01-25 19:")
    assert "retraining.minimum_rows is 10000" in run.reason
    assert setup.launcher.jobs == []
    assert [past.counts for past in setup.ledger.past(MODEL)[0]] == [False]


def test_changed_champion_is_not_overwritten(setup: Setup) -> None:
    run_id = setup.ask()
    pipeline = Pipeline(setup.deps, setup.stop)
    for _ in ("snapshot", "train", "package", "evaluate"):
        pipeline.step(run_id)
    other = package_poor_champion(
        setup.installation.project.parent,
        setup.installation.spec,
        setup.installation.store,
        setup.installation.keys,
        slope=-0.7,
    )
    setup.controller().deploy(MODEL, other, "", "bob", force="it is a test")
    run = setup.drive(run_id)
    assert (run.state, run.reason_code) == ("refused", "champion_changed")
    assert [entry.version for entry in setup.installation.store.releases(MODEL)] == [
        setup.installation.champion,
        other,
    ]


def test_future_row_does_not_move_run_or_holdout(setup: Setup) -> None:
    fill_lake(setup.installation.lake, datetime(2999, 1, 1, tzinfo=UTC), 1, 4, 8)
    now = START + timedelta(days=30)
    setup = replace(setup, deps=replace(setup.deps, clock=lambda: now))
    run_id = setup.controller().handle_cause(Cause("k", MODEL, "request", "please")).run_id
    assert setup.ledger.run(run_id).event_time == now
    assert setup.drive(run_id).state == "promoted"


# What automation may do


def test_automation_retrain_releases_nothing(
    template: Installation, good_model: bytes, tmp_path: Path
) -> None:
    setup = open_setup(template, good_model, tmp_path, automation="retrain")
    run = setup.drive(setup.ask())
    assert run.state == "succeeded"
    assert setup.installation.store.latest_generation(MODEL) == 1
    with pytest.raises(Conflict):
        setup.controller().approve(run.run_id, "ann", Authority())
    done = setup.controller().deploy(MODEL, run.version, "", "ann")
    assert (done.release.version, done.release.generation, done.new) == (run.version, 2, True)
    assert done.notes == ()


def test_approval_is_bound_to_the_gate_result(
    template: Installation, good_model: bytes, tmp_path: Path
) -> None:
    setup = open_setup(template, good_model, tmp_path, automation="approve")
    run = setup.drive(setup.ask())
    assert run.state == "waiting_for_approval"
    assert setup.drive(run.run_id).state == "waiting_for_approval"
    assert setup.installation.store.latest_generation(MODEL) == 1
    busy = setup.controller().handle_cause(
        Cause("k2", MODEL, "request", "again", event_time=START + timedelta(days=30))
    )
    assert busy.decision.reason_code == "run_in_progress"
    assert setup.controller().approve(run.run_id, "ann", Authority()).state == "promoting"
    done = setup.drive(run.run_id)
    assert (done.state, done.generation) == ("promoted", 2)
    release = setup.installation.store.live_release(MODEL)
    assert release is not None
    assert release.actor == "ann"


@pytest.mark.parametrize(("automation", "shadow"), [("auto", 0), ("approve", 0), ("auto", 6), ("approve", 6)])
def test_phases_of_the_policy_come_before_the_promotion(
    template: Installation, good_model: bytes, tmp_path: Path, automation: str, shadow: int
) -> None:
    rollout = Rollout(shadow=timedelta(hours=shadow), canary=Canary(share=0.1, duration=timedelta(hours=6)))
    setup = open_setup(template, good_model, tmp_path, automation=automation, rollout=rollout)
    run = setup.drive(setup.ask())
    if automation == "approve":
        assert run.state == "waiting_for_approval"
        approved = [setup.controller().approve(run.run_id, "ann", Authority()) for _ in range(2)]
        run = approved[1]
    assert run.state == ("shadowing" if shadow else "canarying")
    assert setup.drive(run.run_id).state == run.state  # the scheduler leaves it alone
    assert setup.ledger.working_runs() == []
    assert setup.ledger.runs_in_phases() == [run.run_id]
    busy = setup.controller().handle_cause(
        Cause("k2", MODEL, "request", "again", event_time=START + timedelta(days=30))
    )
    assert busy.decision.reason_code == "run_in_progress"


def test_a_promotion_that_fails_ends_the_canary(
    template: Installation, good_model: bytes, tmp_path: Path
) -> None:
    rollout = Rollout(canary=Canary(share=0.1, duration=timedelta(hours=6)))
    setup = open_setup(template, good_model, tmp_path, rollout=rollout)
    run = setup.drive(setup.ask())
    releaser, store = setup.deps.releaser, setup.installation.store
    releaser.start(MODEL, "canary", version=run.version, share=0.1, actor="loop", run_id=run.run_id)
    setup.ledger.transition(run.run_id, "promoting", datetime.now(UTC))
    stored = setup.installation.home / "models" / MODEL / "versions" / run.version / "model.onnx"
    stored.write_bytes(stored.read_bytes() + b"\0")
    assert setup.drive(run.run_id).reason_code == "tampered"
    assert list(store.slots(MODEL)) == ["live"]
    assert [entry.reason for entry in store.releases(MODEL)] == ["deployment", "canary", "withdrawal"]


@pytest.mark.parametrize("ends", [True, False])
def test_a_canary_that_a_person_ends_before_its_promotion_is_not_promoted(
    template: Installation, good_model: bytes, tmp_path: Path, ends: bool
) -> None:
    rollout = Rollout(canary=Canary(share=0.1, duration=timedelta(hours=6)))
    setup = open_setup(template, good_model, tmp_path, rollout=rollout)
    run, now = setup.drive(setup.ask()), datetime.now(UTC)
    releaser, phases = setup.deps.releaser, setup.ledger.phases
    started = Phase(run.run_id, "canary", MODEL, run.version, run.champion, "log_loss", 0.0, now)
    phases.begin(started)
    releaser.start(MODEL, "canary", version=run.version, share=0.1, actor="loop", run_id=run.run_id)
    phases.decide(started, "passed", "it was as good", now)
    setup.ledger.transition(run.run_id, "promoting", now)  # it waits: other runs are trained
    if ends:
        setup.controller().rollback(MODEL, "ann", "complaints", None)
    done = setup.drive(run.run_id)
    if ends:
        assert (done.state, done.reason_code) == ("rejected", "withdrawn")
        assert done.reason == "its canary was ended by ann in generation 3 before it was promoted"
    assert done.state == ("rejected" if ends else "promoted")
    last = setup.installation.store.releases(MODEL)[-1]
    assert (last.generation, last.reason) == (3, "withdrawal" if ends else "promotion")


def rolled_back(template: Installation, good_model: bytes, place: Path, automation: str) -> tuple[Setup, str]:
    """A person rolled back to a version with a feature that the project's loop no longer has."""
    setup = open_setup(template, good_model, place)
    spec = setup.installation.spec
    wider = (*spec.features, spec.features[0].model_copy(update={"name": "y"}))
    older = package_poor_champion(
        place,
        spec.model_copy(update={"features": wider}),
        setup.installation.store,
        setup.installation.keys,
        slope=-0.7,
    )
    for version in (older, setup.installation.champion):
        setup.controller().deploy(MODEL, version, "", "ann", force="it is a test")
    setup.controller().rollback(MODEL, "ann", "it was better", None)
    loop = spec.model_copy(update={"automation": automation})
    setup.ledger.record_project(
        MODEL, str(setup.installation.project), loop, setup.installation.champion, "ann", datetime.now(UTC)
    )
    return setup, older


@pytest.mark.parametrize("automation", ["suggest", "retrain", "approve", "auto"])
def test_challenger_not_compared_waits_for_approval(
    template: Installation, good_model: bytes, tmp_path: Path, automation: str
) -> None:
    setup, older = rolled_back(template, good_model, tmp_path, automation)
    run = setup.drive(setup.ask())
    assert (run.state, run.reason_code, run.champion) == ("waiting_for_approval", "not_compared", older)
    assert "a person must approve" in run.reason
    assert setup.installation.store.latest_generation(MODEL) == 4
    setup.controller().approve(run.run_id, "bob", Authority())
    done = setup.drive(run.run_id)
    assert (done.state, done.generation) == ("promoted", 5)
    release = setup.installation.store.live_release(MODEL)
    assert release is not None
    assert release.actor == "bob"


def test_challenger_not_compared_needs_approval(
    template: Installation, good_model: bytes, tmp_path: Path
) -> None:
    """Not even where the run was moved on past everybody."""
    setup, _ = rolled_back(template, good_model, tmp_path, "auto")
    run = setup.drive(setup.ask())
    setup.ledger.transition(run.run_id, "promoting", datetime.now(UTC))
    done = setup.drive(run.run_id)
    assert (done.state, done.reason_code) == ("failed", "tampered")
    assert setup.installation.store.latest_generation(MODEL) == 4


def test_rejection_ends_the_run(template: Installation, good_model: bytes, tmp_path: Path) -> None:
    setup = open_setup(template, good_model, tmp_path, automation="approve")
    run = setup.drive(setup.ask())
    assert setup.controller().reject(run.run_id, "ann", Authority()).state == "rejected"
    assert setup.installation.store.latest_generation(MODEL) == 1


# Integrity of bytes and gate results


def promoting(setup: Setup) -> str:
    run_id = setup.ask()
    pipeline = Pipeline(setup.deps, setup.stop)
    for _ in ("snapshot", "train", "package", "evaluate"):
        pipeline.step(run_id)
    assert setup.ledger.run(run_id).state == "promoting"
    return run_id


def test_repeated_promotion_is_annotated_once(setup: Setup) -> None:
    board = Pinboard()
    deps = replace(setup.deps, annotator=board)
    run_id = setup.ask()
    assert setup.drive(run_id, deps).state == "promoted"
    [(_, tags, at)] = board.annotations
    assert (tags, at) == (
        ("homeostat", "release", "model:toy"),
        setup.installation.store.releases(MODEL)[-1].released_at,
    )
    # As a process leaves it that died between the release and the ledger.
    with writing(setup.ledger._engine) as connection:
        connection.execute(update(run_table).values(state="promoting", generation=None, ended_at=None))
    assert setup.drive(run_id, deps).state == "promoted"
    assert (len(board.annotations), len(setup.installation.store.releases(MODEL))) == (1, 2)
    made = {"model": MODEL, "reason": "promotion"}
    assert deps.metrics.registry.get_sample_value("homeostat_retraining_releases_total", made) == 1


def test_bytes_changed_after_the_gate_are_not_released(setup: Setup) -> None:
    run_id = promoting(setup)
    stored = (
        setup.installation.home
        / "models"
        / MODEL
        / "versions"
        / setup.ledger.run(run_id).version
        / "model.onnx"
    )
    stored.write_bytes(stored.read_bytes() + b"\0")
    run = setup.drive(run_id)
    assert (run.state, run.reason_code) == ("failed", "tampered")
    assert setup.installation.store.latest_generation(MODEL) == 1


def test_changed_gate_result_releases_nothing(setup: Setup) -> None:
    run_id = promoting(setup)
    engine = open_engine(f"sqlite:///{setup.installation.home / 'ledger.sqlite'}")
    result = setup.ledger.run(run_id).gate
    assert result is not None
    with engine.begin() as connection:
        changed = orjson.dumps({**result, "challenger_loss": 0.1}).decode()
        connection.exec_driver_sql("UPDATE gate SET result = ?", (changed,))
    assert setup.drive(run_id).reason_code == "tampered"
    assert setup.installation.store.latest_generation(MODEL) == 1


@pytest.mark.parametrize("about", [{"passed": False}, {"version": "f" * 64}])
def test_promotion_needs_a_passed_gate_for_its_version(setup: Setup, about: dict[str, Any]) -> None:
    """However the run came to `promoting`: its digest fits, so only what the result says stands in the way."""
    run_id = promoting(setup)
    result = setup.ledger.run(run_id).gate
    assert result is not None
    changed = {**result, **about}
    with open_engine(f"sqlite:///{setup.installation.home / 'ledger.sqlite'}").begin() as connection:
        connection.exec_driver_sql(
            "UPDATE gate SET result = ?, digest = ?", (orjson.dumps(changed).decode(), digest_of(changed))
        )
    run = setup.drive(run_id)
    assert (run.state, run.reason_code) == ("failed", "tampered")
    assert "has no passed gate" in run.reason
    assert setup.installation.store.latest_generation(MODEL) == 1


def test_changed_champion_byte_ends_the_run(setup: Setup) -> None:
    """The model still loads and would only answer otherwise: its slope has the other sign."""
    run_id = setup.ask()
    pipeline = Pipeline(setup.deps, setup.stop)
    for _ in ("snapshot", "train", "package"):
        pipeline.step(run_id)
    fetched = RunFolder(setup.deps.runs / run_id).champion / "model.onnx"
    slope, other = np.float32(-0.5).tobytes(), np.float32(0.5).tobytes()
    assert fetched.read_bytes().count(slope) == 1
    fetched.write_bytes(fetched.read_bytes().replace(slope, other))
    run = setup.drive(run_id)
    assert (run.state, run.reason_code, run.gate) == ("failed", "tampered", None)
    assert setup.installation.store.latest_generation(MODEL) == 1


def test_tampered_champion_is_not_compared(setup: Setup) -> None:
    stored = (
        setup.installation.home / "models" / MODEL / "versions" / setup.installation.champion / "model.onnx"
    )
    stored.write_bytes(stored.read_bytes()[:-1])
    run = setup.drive(setup.ask())
    assert (run.state, run.reason_code) == ("failed", "tampered")
    assert setup.launcher.jobs == [], "the training command must not be handed bytes nobody signed"


def test_tampered_version_is_never_released(setup: Setup) -> None:
    run = setup.drive(setup.ask())
    assert run.state == "promoted"
    stored = (
        setup.installation.home / "models" / MODEL / "versions" / setup.installation.champion / "model.onnx"
    )
    stored.write_bytes(stored.read_bytes()[:-1])
    with pytest.raises(IntegrityError):
        setup.controller().rollback(MODEL, "ann", "", None)
    with pytest.raises(IntegrityError):
        setup.controller().deploy(MODEL, setup.installation.champion, "", "ann")
    assert setup.installation.store.latest_generation(MODEL) == 2


# Unavailable stores are retried


class DiskFull:
    """Refuses to be written to a few times."""

    def __init__(self, launcher: CopyingLauncher, times: int) -> None:
        self._launcher = launcher
        self.left = times

    def train(self, job: TrainingJob, stop: Event) -> None:
        if self.left:
            self.left -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self._launcher.train(job, stop)


class ImpatientEvent(Event):
    """Does not really wait."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def test_run_continues_after_a_full_disk(setup: Setup) -> None:
    full = DiskFull(setup.launcher, 2)
    deps = replace(setup.deps, launcher=full)
    run_id = setup.ask()
    pipeline = Pipeline(deps, ImpatientEvent())
    states = [pipeline.step(run_id) for _ in range(5)]
    assert states[-1] == "promoted"
    assert full.left == 0
    failures = deps.metrics.registry.get_sample_value(
        "homeostat_retraining_step_failures_total", {"step": "train"}
    )
    assert failures == 2.0
    assert setup.installation.store.latest_generation(MODEL) == 2


@pytest.mark.parametrize("retries", [0, 2])
def test_step_with_a_limit_of_retries_raises_what_remains(setup: Setup, retries: int) -> None:
    full = DiskFull(setup.launcher, 9)
    pipeline = Pipeline(replace(setup.deps, launcher=full), ImpatientEvent(), retries=retries)
    run_id = setup.ask()
    assert pipeline.step(run_id) == "training"
    with pytest.raises(OSError, match="No space left on device"):
        pipeline.step(run_id)
    assert full.left == 9 - (retries + 1)
    assert setup.ledger.run(run_id).state == "training"


def test_stopping_service_leaves_the_run_unchanged(setup: Setup) -> None:
    run_id = setup.ask()
    setup.stop.set()
    with pytest.raises(Interrupted):
        setup.drive(run_id)
    setup.stop.clear()
    assert setup.ledger.run(run_id).state == "queued"
    assert setup.drive(run_id).state == "promoted"


@pytest.mark.parametrize(
    ("state", "step", "call"),
    [
        ("snapshotting", "snapshot", "before read_joined"),
        ("training", "train", "before train"),
        ("packaging", "package", "before put_version"),
        ("evaluating", "evaluate", "before record_gate"),
        ("promoting", "promote", "before get_version"),
    ],
)
def test_step_in_which_the_service_dies_is_not_repeated_for_ever(
    setup: Setup, state: State, step: str, call: str
) -> None:
    run_id = setup.ask()
    while setup.ledger.run(run_id).state not in (state, "queued" if state == "snapshotting" else state):
        Pipeline(setup.deps, setup.stop).step(run_id)
    for _ in range(3):
        with pytest.raises(Killed):
            setup.drive(run_id, dying(setup.deps, At(call)))
        assert setup.ledger.run(run_id).state == state
    run = setup.drive(run_id)
    assert (run.state, run.reason_code) == ("abandoned", "service_died")
    assert run.reason.startswith(f"the service died 3 times in the step {step} of this run")
    assert setup.installation.store.latest_generation(MODEL) == 1
    assert [past.open for past in setup.ledger.past(MODEL)[0]] == [False]


def test_step_that_ends_and_stops_are_not_counted(setup: Setup) -> None:
    run_id = setup.ask()
    for _ in range(2):
        with pytest.raises(Killed):
            setup.drive(run_id, dying(setup.deps, At("before train")))
    for _ in range(5):
        setup.launcher.raises = Interrupted(run_id)
        with pytest.raises(Interrupted):
            setup.drive(run_id)
    assert setup.ledger.run(run_id).step_starts == 2
    setup.launcher.raises = None
    assert Pipeline(setup.deps, setup.stop).step(run_id) == "packaging"
    assert setup.ledger.run(run_id).step_starts == 0
    assert setup.drive(run_id).state == "promoted"


# A crash at any call to a store


class Dying:
    """Wraps a dependency and raises Killed before or after its n-th call."""

    def __init__(self, target: Any, fuse: Fuse) -> None:
        self._target = target
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*given: Any, **named: Any) -> Any:
            self._fuse.burn(f"before {name}")
            result = found(*given, **named)
            self._fuse.burn(f"after {name}")
            return result

        return call


@dataclass
class Fuse:
    """Kills at call number `at`; records the calls."""

    at: int
    calls: list[str] = field(default_factory=list)

    def burn(self, call: str) -> None:
        self.calls.append(call)
        if len(self.calls) == self.at:
            raise Killed(call)


class At(Fuse):
    """Kills at the first call with a name."""

    def __init__(self, call: str) -> None:
        super().__init__(0)
        self._call = call

    def burn(self, call: str) -> None:
        if call == self._call:
            raise Killed(call)


class Meanwhile(Fuse):
    """Executes `act` at the first call with a name."""

    def __init__(self, call: str, act: Callable[[], object]) -> None:
        super().__init__(0)
        self._call = call
        self._act = act

    def burn(self, call: str) -> None:
        if call == self._call:
            self._call = ""
            self._act()


def dying(deps: Dependencies, fuse: Fuse) -> Dependencies:
    wrap: Callable[[Any], Any] = lambda target: Dying(target, fuse)  # noqa: E731
    return replace(
        deps,
        ledger=wrap(deps.ledger),
        store=wrap(deps.store),
        launcher=wrap(deps.launcher),
        lake=wrap(deps.lake),
    )


def test_release_during_rollback_is_a_conflict(setup: Setup) -> None:
    first, second, third = (
        package_poor_champion(
            setup.installation.project.parent,
            setup.installation.spec,
            setup.installation.store,
            setup.installation.keys,
            slope=slope,
        )
        for slope in (-0.6, -0.7, -0.8)
    )
    for version in (first, second):
        setup.controller().deploy(MODEL, version, "", "ann", force="it is a test")
    fuse = Meanwhile(
        "before get_version", lambda: setup.controller().deploy(MODEL, third, "", "bob", force="it is a test")
    )
    deps = dying(setup.deps, fuse)
    with pytest.raises(Conflict, match="generation 4 is: a deployment by bob"):
        Controller(deps, Pipeline(deps, setup.stop), lambda: None).rollback(MODEL, "ann", "", None)
    log = [entry.version for entry in setup.installation.store.releases(MODEL)]
    assert log == [setup.installation.champion, first, second, third]


def test_snapshot_uses_pinned_versions_after_a_crash(
    setup: Setup,
) -> None:
    run_id = setup.ask()
    with pytest.raises(Killed):
        setup.drive(run_id, dying(setup.deps, At("before get_version")))
    pinned = setup.ledger.run(run_id)
    assert (pinned.state, pinned.snapshot) == ("snapshotting", None)
    assert (RunFolder(setup.deps.runs / run_id).snapshot / "train.parquet").is_file()
    fill_lake(setup.installation.lake, START + timedelta(days=30), 2, 4, 9)
    run = setup.drive(run_id)
    assert run.state == "promoted"
    assert run.snapshot is not None
    assert run.lake == pinned.lake == run.snapshot["pin"]


def test_run_reads_newer_versions_where_its_own_are_no_longer_kept(setup: Setup) -> None:
    run_id = setup.ask()
    with pytest.raises(Killed):
        setup.drive(run_id, dying(setup.deps, At("before get_version")))
    pinned = setup.ledger.run(run_id).lake
    assert pinned is not None
    shutil.rmtree(RunFolder(setup.deps.runs / run_id).snapshot)
    lake = setup.installation.lake
    fill_lake(lake, START + timedelta(days=30), 2, 4, 9)
    for location in (lake.predictions(MODEL), lake.outcomes(MODEL)):
        table = DeltaTable(location)
        table.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 seconds"})
        table.create_checkpoint()
        table.cleanup_metadata()
    run = setup.drive(
        run_id, replace(setup.deps, lake=Lake(lake.root))
    )  # as after a restart: no handle is kept
    assert run.state == "promoted", run.reason
    assert run.lake is not None
    assert run.snapshot is not None
    assert run.lake == run.snapshot["pin"]
    assert run.lake["predictions"] > pinned["predictions"]


def test_run_ends_once_after_a_kill_at_any_store_call(setup: Setup) -> None:
    """Each run is killed at one call and at later calls after resuming; then there is one run, one release, and no open run."""
    patient = setup.deps.settings.model_copy(update={"attempts": 4})
    setup = replace(setup, deps=replace(setup.deps, settings=patient))
    counting = Fuse(0)
    setup.drive(setup.ask("count"), dying(setup.deps, counting))
    assert len(counting.calls) > 40
    releases = setup.installation.store.latest_generation(MODEL)
    for call in range(1, len(counting.calls) + 1, 3):
        setup.controller().rollback(MODEL, "ann", "", 1)
        setup.launcher.jobs.clear()
        run_id = setup.ask(f"call {call}")
        for at in (call, 3, 7):
            fuse = Fuse(at)
            try:
                setup.drive(run_id, dying(setup.deps, fuse))
                break
            except Killed:
                continue
        assert setup.drive(run_id).state == "promoted", counting.calls[call - 1]
        releases += 2
        log = setup.installation.store.releases(MODEL)
        assert len(log) == releases, counting.calls[call - 1]
        assert [entry.run_id for entry in log].count(run_id) == 1
        assert 1 <= len(setup.launcher.jobs) <= 3
    assert setup.ledger.working_runs() == []
