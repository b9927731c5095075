"""The steps of a run, without processes: what goes wrong is told, and a death at any moment changes nothing."""

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
from sqlalchemy import update

from services.retraining.cause import Cause
from services.retraining.controller import Controller
from services.retraining.dependencies import Dependencies
from services.retraining.ledger.engine import open_engine, writing
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Run
from services.retraining.ledger.tables import run as run_table
from services.retraining.metrics import RetrainingMetrics
from services.retraining.run_states import WORKING
from services.retraining.runs.gate import digest_of
from services.retraining.runs.pipeline import Pipeline
from services.retraining.runs.workspace import RunFolder
from services.retraining.settings import RetrainingSettings
from shared.errors import Conflict, IntegrityError, TrainingFailed
from shared.models.training_command import Interrupted, TrainingJob
from tests.fakes.retraining_world import MODEL, START, World, fill_lake, make_world, package_poor_champion
from tests.unit.services.retraining.rollout.test_annotations import Pinboard


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
class Room:
    """A world with the champion served, and a launcher that hands out a good model."""

    world: World
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
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def good_model(template: World) -> bytes:
    version = package_poor_champion(
        template.project.parent, template.spec, template.store, template.keys, slope=2.0
    )
    return template.store.get_file(MODEL, version, "model.onnx")


@pytest.fixture
def room(template: World, good_model: bytes, tmp_path: Path) -> Room:
    return open_room(template, good_model, tmp_path)


def open_room(template: World, good_model: bytes, place: Path, **loop: Any) -> Room:
    shutil.copytree(template.project.parent, place, dirs_exist_ok=True)
    home = place / "home"
    from shared.models.keys import Keys
    from shared.stores.lake import Lake
    from shared.stores.model_store import open_model_store

    store = open_model_store((home / "models").as_uri())
    world = replace(
        template,
        home=home,
        project=place / "project",
        store=store,
        lake=Lake(str(home / "lake")),
        keys=Keys(home / "keys"),
    )
    launcher = CopyingLauncher(good_model)
    deps = Dependencies(
        ledger=Ledger(open_engine(f"sqlite:///{home / 'ledger.sqlite'}")),
        store=store,
        lake=world.lake,
        keys=world.keys,
        launcher=launcher,
        runs=home / "runs",
        settings=RetrainingSettings(latency_calls=5),
        metrics=RetrainingMetrics(),
        clock=lambda: datetime.now(UTC),
    )
    made = Room(world, deps, launcher, Event())
    made.controller().deploy(MODEL, world.champion, str(world.project), "ann")
    if loop:
        project = made.ledger.project(MODEL)
        assert project is not None
        made.ledger.record_project(
            MODEL,
            project.directory,
            project.loop.model_copy(update=loop),
            world.champion,
            "ann",
            datetime.now(UTC),
        )
    return made


def test_a_good_challenger_is_promoted_and_every_link_of_the_chain_is_kept(room: Room) -> None:
    run = room.drive(room.ask())
    assert (run.state, run.reason_code, run.generation, run.attempts) == ("promoted", "gate_passed", 2, 1)
    release = room.world.store.latest_release(MODEL)
    assert release is not None
    assert (release.version, release.run_id, release.cause_key, release.reason) == (
        run.version,
        run.run_id,
        "k",
        "promotion",
    )
    manifest = room.world.store.manifest(MODEL, run.version)
    assert (manifest.origin.run_id, manifest.origin.cause_key, manifest.origin.parent) == (
        run.run_id,
        "k",
        room.world.champion,
    )
    assert run.snapshot is not None
    assert manifest.origin.snapshot == f"{run.snapshot['digest']} lake 0/0"
    assert manifest.metrics == {"loss": 0.5}
    assert run.gate is not None
    assert run.gate["champion_loss"] > run.gate["challenger_loss"]
    [entry] = room.ledger.releases_of_version(run.version)
    assert entry["generation"] == 2


def test_the_reference_holds_the_latest_rows_in_order_scored_by_the_version(
    room: Room, tmp_path: Path
) -> None:
    run = room.drive(room.ask())
    (tmp_path / "r.parquet").write_bytes(room.world.store.get_file(MODEL, run.version, "reference.parquet"))
    rows = pq.read_table(tmp_path / "r.parquet")
    assert rows.column_names == ["event_time", "x", "color", "outcome", "prediction_id", "score"]
    assert rows.num_rows == 2391 + 481
    moments = rows["event_time"].to_pylist()
    assert moments == sorted(moments)
    assert 0 < min(rows["score"].to_pylist()) < max(rows["score"].to_pylist()) < 1


def test_the_reference_is_bounded_and_keeps_the_newest(room: Room, tmp_path: Path) -> None:
    bounded = replace(room.deps, settings=room.deps.settings.model_copy(update={"reference_rows": 600}))
    run = room.drive(room.ask(), bounded)
    (tmp_path / "r.parquet").write_bytes(room.world.store.get_file(MODEL, run.version, "reference.parquet"))
    rows = pq.read_table(tmp_path / "r.parquet")
    assert rows.num_rows == 600
    assert run.snapshot is not None
    assert rows["event_time"][-1].as_py().isoformat() == run.snapshot["holdout_until"]


def test_the_training_gets_its_folders(room: Room) -> None:
    run = room.drive(room.ask())
    [job] = room.launcher.jobs
    folder = RunFolder(room.deps.runs / run.run_id)
    assert job.directory == room.world.project
    assert job.environment == {
        "HOMEOSTAT_TRAIN": str(folder.snapshot / "train.parquet"),
        "HOMEOSTAT_CHAMPION": str(folder.champion),
        "HOMEOSTAT_OUT": str(folder.attempt(1) / "out"),
    }
    assert (folder.champion / "manifest.json").is_file()


def test_a_training_command_cannot_find_the_holdout(room: Room) -> None:
    """Whatever lies below the folders it is told about, or in a folder above them, no row is of the holdout's time."""
    seen: dict[Path, datetime] = {}

    def search(job: TrainingJob) -> None:
        known = [job.directory, *(Path(value) for value in job.environment.values() if value)]
        run_folder = job.attempts.parent
        for place in (*known, run_folder):
            found = place.rglob("*") if place.is_dir() else [place]
            for path in (*found, *(one for above in place.parents for one in above.glob("*.parquet"))):
                if path.suffix == ".parquet" and path.is_file():
                    seen[path] = max(pq.read_table(path, columns=["event_time"])["event_time"].to_pylist())

    room.launcher.on_train = search
    run = room.drive(room.ask())
    assert run.snapshot is not None
    assert {path.name for path in seen} >= {"train.parquet", "reference.parquet"}
    assert max(seen.values()) < datetime.fromisoformat(run.snapshot["holdout_from"])
    assert RunFolder(room.deps.runs / run.run_id).holdout.is_file()


def test_a_training_that_failed_ends_the_run_with_its_reason(room: Room) -> None:
    room.launcher.raises = TrainingFailed(
        "the training command failed with exit code 3; its last lines:\nno luck"
    )
    run = room.drive(room.ask())
    assert (run.state, run.reason_code) == ("failed", "training")
    assert run.reason.endswith("no luck")
    assert room.world.store.latest_generation(MODEL) == 1


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        (b'{"loss": NaN}', "metrics.json is not valid JSON"),
        (b'{"loss": "low"}', 'loss is "low"; expected a finite number'),
        (b'{"loss": 1e999}', "metrics.json"),
        (b'{"loss": true}', "loss is true"),
        (b"[1]", "is not a JSON object"),
        (b"", "metrics.json is not valid JSON"),
    ],
)
def test_metrics_that_are_no_finite_numbers_end_the_run(room: Room, metrics: bytes, told: str) -> None:
    room.launcher.metrics = metrics
    run = room.drive(room.ask())
    assert (run.state, run.reason_code) == ("failed", "training")
    assert told in run.reason


def test_a_broken_model_ends_the_run(room: Room) -> None:
    room.launcher.model = b"not a model"
    run = room.drive(room.ask())
    assert (run.state, run.reason_code) == ("failed", "model")
    assert room.world.store.latest_generation(MODEL) == 1


def test_a_worse_challenger_is_refused(room: Room) -> None:
    room.launcher.model = room.world.store.get_file(MODEL, room.world.champion, "model.onnx")
    run = room.drive(room.ask())
    assert (run.state, run.reason_code) == ("refused", "gate")
    assert "gain +0.00000" in run.reason
    assert room.world.store.latest_generation(MODEL) == 1


def test_unfit_data_ends_the_run_before_training_and_costs_nothing(
    template: World, good_model: bytes, tmp_path: Path
) -> None:
    policy = template.spec.retraining.model_copy(update={"minimum_rows": 10_000})
    room = open_room(template, good_model, tmp_path, retraining=policy)
    run = room.drive(room.ask())
    assert (run.state, run.reason_code) == ("abandoned", "unfit_data")
    assert run.reason == "2391 training rows with outcomes; retraining.minimum_rows is 10000"
    assert room.launcher.jobs == []
    assert [past.counts for past in room.ledger.past_runs(MODEL)] == [False]


def test_a_champion_changed_by_a_person_meanwhile_is_not_overwritten(room: Room) -> None:
    run_id = room.ask()
    pipeline = Pipeline(room.deps, room.stop)
    for _ in ("snapshot", "train", "package", "evaluate"):
        pipeline.step(run_id)
    other = package_poor_champion(
        room.world.project.parent, room.world.spec, room.world.store, room.world.keys, slope=-0.7
    )
    room.controller().deploy(MODEL, other, "", "bob")
    run = room.drive(run_id)
    assert (run.state, run.reason_code) == ("refused", "champion_changed")
    assert [entry.version for entry in room.world.store.releases(MODEL)] == [room.world.champion, other]


def test_a_row_from_the_future_neither_books_the_run_there_nor_empties_its_holdout(room: Room) -> None:
    fill_lake(room.world.lake, datetime(2999, 1, 1, tzinfo=UTC), 1, 4, 8)
    now = START + timedelta(days=30)
    room = replace(room, deps=replace(room.deps, clock=lambda: now))
    run_id = room.controller().handle_cause(Cause("k", MODEL, "request", "please")).run_id
    assert room.ledger.run(run_id).event_time == now
    assert room.drive(run_id).state == "promoted"


# What automation may do


def test_retrain_proves_and_leaves_the_release_to_a_person(
    template: World, good_model: bytes, tmp_path: Path
) -> None:
    room = open_room(template, good_model, tmp_path, automation="retrain")
    run = room.drive(room.ask())
    assert run.state == "succeeded"
    assert room.world.store.latest_generation(MODEL) == 1
    with pytest.raises(Conflict):
        room.controller().approve(run.run_id, "ann")
    release, new = room.controller().deploy(MODEL, run.version, "", "ann")
    assert (release.version, release.generation, new) == (run.version, 2, True)


def test_approve_waits_for_a_yes_to_this_very_result(
    template: World, good_model: bytes, tmp_path: Path
) -> None:
    room = open_room(template, good_model, tmp_path, automation="approve")
    run = room.drive(room.ask())
    assert run.state == "waiting_for_approval"
    assert room.drive(run.run_id).state == "waiting_for_approval"
    assert room.world.store.latest_generation(MODEL) == 1
    busy = room.controller().handle_cause(
        Cause("k2", MODEL, "request", "again", event_time=START + timedelta(days=30))
    )
    assert busy.decision.reason_code == "run_in_progress"
    assert room.controller().approve(run.run_id, "ann").state == "promoting"
    done = room.drive(run.run_id)
    assert (done.state, done.generation) == ("promoted", 2)
    release = room.world.store.latest_release(MODEL)
    assert release is not None
    assert release.actor == "ann"


def rolled_back(template: World, good_model: bytes, place: Path, automation: str) -> tuple[Room, str]:
    """A room where a person rolled back to a version that takes a feature which the project's loop no longer has."""
    room = open_room(template, good_model, place)
    spec = room.world.spec
    wider = (*spec.features, spec.features[0].model_copy(update={"name": "y"}))
    older = package_poor_champion(
        place, spec.model_copy(update={"features": wider}), room.world.store, room.world.keys, slope=-0.7
    )
    for version in (older, room.world.champion):
        room.controller().deploy(MODEL, version, "", "ann")
    room.controller().rollback(MODEL, "ann", "it was better", None)
    loop = spec.model_copy(update={"automation": automation})
    room.ledger.record_project(
        MODEL, str(room.world.project), loop, room.world.champion, "ann", datetime.now(UTC)
    )
    return room, older


@pytest.mark.parametrize("automation", ["suggest", "retrain", "approve", "auto"])
def test_what_could_not_be_held_against_the_champion_waits_for_a_person(
    template: World, good_model: bytes, tmp_path: Path, automation: str
) -> None:
    room, older = rolled_back(template, good_model, tmp_path, automation)
    run = room.drive(room.ask())
    assert (run.state, run.reason_code, run.champion) == ("waiting_for_approval", "not_compared", older)
    assert "a person decides" in run.reason
    assert room.world.store.latest_generation(MODEL) == 4
    room.controller().approve(run.run_id, "bob")
    done = room.drive(run.run_id)
    assert (done.state, done.generation) == ("promoted", 5)
    release = room.world.store.latest_release(MODEL)
    assert release is not None
    assert release.actor == "bob"


def test_what_could_not_be_compared_is_not_promoted_without_a_yes(
    template: World, good_model: bytes, tmp_path: Path
) -> None:
    """Not even where the run was moved on past everybody."""
    room, _ = rolled_back(template, good_model, tmp_path, "auto")
    run = room.drive(room.ask())
    room.ledger.transition(run.run_id, "promoting", datetime.now(UTC))
    done = room.drive(run.run_id)
    assert (done.state, done.reason_code) == ("failed", "tampered")
    assert room.world.store.latest_generation(MODEL) == 4


def test_a_no_ends_the_run(template: World, good_model: bytes, tmp_path: Path) -> None:
    room = open_room(template, good_model, tmp_path, automation="approve")
    run = room.drive(room.ask())
    assert room.controller().reject(run.run_id, "ann").state == "rejected"
    assert room.world.store.latest_generation(MODEL) == 1


# Nobody slips bytes or numbers past the gate


def promoting(room: Room) -> str:
    run_id = room.ask()
    pipeline = Pipeline(room.deps, room.stop)
    for _ in ("snapshot", "train", "package", "evaluate"):
        pipeline.step(run_id)
    assert room.ledger.run(run_id).state == "promoting"
    return run_id


def test_a_run_that_finds_its_release_made_marks_it_no_second_time(room: Room) -> None:
    board = Pinboard()
    deps = replace(room.deps, annotator=board)
    run_id = room.ask()
    assert room.drive(run_id, deps).state == "promoted"
    [(_, tags, at)] = board.marks
    assert (tags, at) == (
        ("homeostat", "release", "model:toy"),
        room.world.store.releases(MODEL)[-1].released_at,
    )
    # As a process leaves it that died between the release and the ledger.
    with writing(room.ledger._engine) as connection:
        connection.execute(update(run_table).values(state="promoting", generation=None, ended_at=None))
    assert room.drive(run_id, deps).state == "promoted"
    assert (len(board.marks), len(room.world.store.releases(MODEL))) == (1, 2)
    made = {"model": MODEL, "reason": "promotion"}
    assert deps.metrics.registry.get_sample_value("homeostat_retraining_releases_total", made) == 1


def test_bytes_changed_between_gate_and_promotion_are_not_released(room: Room) -> None:
    run_id = promoting(room)
    stored = room.world.home / "models" / MODEL / "versions" / room.ledger.run(run_id).version / "model.onnx"
    stored.write_bytes(stored.read_bytes() + b"\0")
    run = room.drive(run_id)
    assert (run.state, run.reason_code) == ("failed", "tampered")
    assert room.world.store.latest_generation(MODEL) == 1


def test_a_gate_result_changed_in_the_ledger_releases_nothing(room: Room) -> None:
    run_id = promoting(room)
    engine = open_engine(f"sqlite:///{room.world.home / 'ledger.sqlite'}")
    result = room.ledger.run(run_id).gate
    assert result is not None
    with engine.begin() as connection:
        changed = orjson.dumps({**result, "challenger_loss": 0.1}).decode()
        connection.exec_driver_sql("UPDATE gate SET result = ?", (changed,))
    assert room.drive(run_id).reason_code == "tampered"
    assert room.world.store.latest_generation(MODEL) == 1


@pytest.mark.parametrize("about", [{"passed": False}, {"version": "f" * 64}])
def test_a_run_whose_gate_did_not_pass_or_is_about_another_version_is_not_promoted(
    room: Room, about: dict[str, Any]
) -> None:
    """However the run came to `promoting`: its digest fits, so only what the result says stands in the way."""
    run_id = promoting(room)
    result = room.ledger.run(run_id).gate
    assert result is not None
    changed = {**result, **about}
    with open_engine(f"sqlite:///{room.world.home / 'ledger.sqlite'}").begin() as connection:
        connection.exec_driver_sql(
            "UPDATE gate SET result = ?, digest = ?", (orjson.dumps(changed).decode(), digest_of(changed))
        )
    run = room.drive(run_id)
    assert (run.state, run.reason_code) == ("failed", "tampered")
    assert "has no passed gate" in run.reason
    assert room.world.store.latest_generation(MODEL) == 1


def test_a_byte_of_the_champion_flipped_before_the_gate_ends_the_run(room: Room) -> None:
    """The model still loads and would only answer otherwise: its slope has the other sign."""
    run_id = room.ask()
    pipeline = Pipeline(room.deps, room.stop)
    for _ in ("snapshot", "train", "package"):
        pipeline.step(run_id)
    fetched = RunFolder(room.deps.runs / run_id).champion / "model.onnx"
    slope, other = np.float32(-0.5).tobytes(), np.float32(0.5).tobytes()
    assert fetched.read_bytes().count(slope) == 1
    fetched.write_bytes(fetched.read_bytes().replace(slope, other))
    run = room.drive(run_id)
    assert (run.state, run.reason_code, run.gate) == ("failed", "tampered", None)
    assert room.world.store.latest_generation(MODEL) == 1


def test_a_tampered_champion_is_not_judged_against(room: Room) -> None:
    stored = room.world.home / "models" / MODEL / "versions" / room.world.champion / "model.onnx"
    stored.write_bytes(stored.read_bytes()[:-1])
    run = room.drive(room.ask())
    assert (run.state, run.reason_code) == ("failed", "tampered")
    assert room.launcher.jobs == [], "the training command must not be handed bytes nobody signed"


def test_a_tampered_version_is_neither_deployed_nor_rolled_back_to(room: Room) -> None:
    run = room.drive(room.ask())
    assert run.state == "promoted"
    stored = room.world.home / "models" / MODEL / "versions" / room.world.champion / "model.onnx"
    stored.write_bytes(stored.read_bytes()[:-1])
    with pytest.raises(IntegrityError):
        room.controller().rollback(MODEL, "ann", "", None)
    with pytest.raises(IntegrityError):
        room.controller().deploy(MODEL, room.world.champion, "", "ann")
    assert room.world.store.latest_generation(MODEL) == 2


# Away is not broken


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


def test_a_full_disk_is_waited_for_and_the_run_goes_on(room: Room) -> None:
    full = DiskFull(room.launcher, 2)
    deps = replace(room.deps, launcher=full)
    run_id = room.ask()
    pipeline = Pipeline(deps, ImpatientEvent())
    states = [pipeline.step(run_id) for _ in range(5)]
    assert states[-1] == "promoted"
    assert full.left == 0
    failures = deps.metrics.registry.get_sample_value(
        "homeostat_retraining_step_failures_total", {"step": "train"}
    )
    assert failures == 2.0
    assert room.world.store.latest_generation(MODEL) == 2


def test_a_stopping_service_leaves_the_run_as_it_is(room: Room) -> None:
    run_id = room.ask()
    room.stop.set()
    with pytest.raises(Interrupted):
        room.drive(run_id)
    room.stop.clear()
    assert room.ledger.run(run_id).state == "queued"
    assert room.drive(run_id).state == "promoted"


def test_a_training_whose_service_always_dies_is_given_up(room: Room) -> None:
    run_id = room.ask()
    room.launcher.raises = Killed()
    for _ in range(3):
        with pytest.raises(Killed):
            room.drive(run_id)
    run = room.drive(run_id)
    assert (run.state, run.reason_code) == ("failed", "training")
    assert "started 3 times" in run.reason


# A death at any moment


class Dying:
    """Stands before a part and dies before or after its n-th call."""

    def __init__(self, part: Any, fuse: Fuse) -> None:
        self._part = part
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
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
    """Kills at the moment numbered `at`; remembers the moments."""

    at: int
    moments: list[str] = field(default_factory=list)

    def burn(self, moment: str) -> None:
        self.moments.append(moment)
        if len(self.moments) == self.at:
            raise Killed(moment)


class At(Fuse):
    """Kills at the first moment of a name."""

    def __init__(self, moment: str) -> None:
        super().__init__(0)
        self._moment = moment

    def burn(self, moment: str) -> None:
        if moment == self._moment:
            raise Killed(moment)


class Meanwhile(Fuse):
    """Does something else at the first moment of a name."""

    def __init__(self, moment: str, act: Callable[[], object]) -> None:
        super().__init__(0)
        self._moment = moment
        self._act = act

    def burn(self, moment: str) -> None:
        if moment == self._moment:
            self._moment = ""
            self._act()


def dying(deps: Dependencies, fuse: Fuse) -> Dependencies:
    wrap: Callable[[Any], Any] = lambda part: Dying(part, fuse)  # noqa: E731
    return replace(
        deps,
        ledger=wrap(deps.ledger),
        store=wrap(deps.store),
        launcher=wrap(deps.launcher),
        lake=wrap(deps.lake),
    )


def test_a_release_while_a_rollback_checks_its_bytes_is_not_taken_back_unseen(room: Room) -> None:
    first, second, third = (
        package_poor_champion(
            room.world.project.parent, room.world.spec, room.world.store, room.world.keys, slope=slope
        )
        for slope in (-0.6, -0.7, -0.8)
    )
    for version in (first, second):
        room.controller().deploy(MODEL, version, "", "ann")
    fuse = Meanwhile("before get_version", lambda: room.controller().deploy(MODEL, third, "", "bob"))
    deps = dying(room.deps, fuse)
    with pytest.raises(Conflict, match="generation 4 is: a deployment by bob"):
        Controller(deps, Pipeline(deps, room.stop), lambda: None).rollback(MODEL, "ann", "", None)
    log = [entry.version for entry in room.world.store.releases(MODEL)]
    assert log == [room.world.champion, first, second, third]


def test_the_ledger_names_the_tables_the_snapshot_was_made_of_though_the_lake_grew_after_a_death(
    room: Room,
) -> None:
    run_id = room.ask()
    with pytest.raises(Killed):
        room.drive(run_id, dying(room.deps, At("before get_version")))
    pinned = room.ledger.run(run_id)
    assert (pinned.state, pinned.snapshot) == ("snapshotting", None)
    assert (RunFolder(room.deps.runs / run_id).snapshot / "train.parquet").is_file()
    fill_lake(room.world.lake, START + timedelta(days=30), 2, 4, 9)
    run = room.drive(run_id)
    assert run.state == "promoted"
    assert run.snapshot is not None
    assert run.lake == pinned.lake == run.snapshot["pin"]


def test_killed_before_or_after_every_call_to_a_store_a_run_ends_once(room: Room) -> None:
    """Each run is killed at one moment, then, resumed, at the next few; afterwards: one run, one release, nothing left open."""
    counting = Fuse(0)
    room.drive(room.ask("count"), dying(room.deps, counting))
    assert len(counting.moments) > 40
    releases = room.world.store.latest_generation(MODEL)
    for moment in range(1, len(counting.moments) + 1, 3):
        room.controller().rollback(MODEL, "ann", "", 1)
        room.launcher.jobs.clear()
        run_id = room.ask(f"moment {moment}")
        for at in (moment, 3, 7):
            fuse = Fuse(at)
            try:
                room.drive(run_id, dying(room.deps, fuse))
                break
            except Killed:
                continue
        assert room.drive(run_id).state == "promoted", counting.moments[moment - 1]
        releases += 2
        log = room.world.store.releases(MODEL)
        assert len(log) == releases, counting.moments[moment - 1]
        assert [entry.run_id for entry in log].count(run_id) == 1
        assert 1 <= len(room.launcher.jobs) <= 3
    assert room.ledger.working_runs() == []
