"""Deployments pass the gate against the live version, or are forced with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from services.retraining.dependencies import Dependencies
from services.retraining.deployments.deployment import (
    Deployed,
    DeploymentRequest,
    deploy,
    record_unfinished,
)
from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.watches import Watch
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.releaser import Releaser
from services.retraining.settings import RetrainingSettings
from shared.errors import Conflict, IntegrityError
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_installation import (
    MODEL,
    START,
    Installation,
    make_installation,
    package_poor_champion,
)


class Never:
    """Deployments train nothing."""

    def train(self, *_: Any) -> None:
        raise AssertionError


class Place:
    """An installation with its poor version released, and versions to deploy."""

    def __init__(self, root: Path, **loop: Any) -> None:
        self.installation: Installation = make_installation(root, days=15, **loop)
        self.deps = Dependencies(
            ledger=Ledger(open_engine(f"sqlite:///{self.installation.home / 'ledger.sqlite'}")),
            store=self.installation.store,
            lake=self.installation.lake,
            keys=self.installation.keys,
            launcher=Never(),
            open_model=open_in_process,
            runs=self.installation.home / "runs",
            settings=RetrainingSettings(latency_calls=5),
            metrics=RetrainingMetrics(),
            clock=lambda: datetime.now(UTC),
        )
        self.deploy(self.installation.champion)

    def version(self, slope: float, **changes: Any) -> str:
        one = self.installation
        return package_poor_champion(
            one.project.parent, one.spec, one.store, one.keys, slope=slope, **changes
        )

    def deploy(self, version: str, force: str = "") -> Deployed:
        request = DeploymentRequest(MODEL, version, str(self.installation.project), "ann", force)
        return deploy(self.deps, lambda *_: None, request)

    def live(self) -> str:
        found = self.deps.store.live_release(MODEL)
        assert found is not None
        return found.version


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_better_version_passes_the_gate(place: Place) -> None:
    good = place.version(2.0)
    done = place.deploy(good)
    assert (done.new, done.release.generation, done.notes, place.live()) == (True, 2, (), good)
    assert done.gate is not None
    assert done.gate["passed"]
    assert (done.gate["champion"], done.gate["version"], done.gate["rows"]) == (
        place.installation.champion,
        good,
        481,
    )


def test_worse_version_is_refused_and_nothing_changes(place: Place) -> None:
    worse = place.version(-2.0)
    with pytest.raises(
        Conflict, match="the gate refuses version .* against .*, which is served: log_loss 0.8"
    ) as refused:
        place.deploy(worse)
    assert "--force REASON" in refused.value.hint
    project = place.deps.ledger.project(MODEL)
    assert project is not None
    assert (place.live(), project.version) == (place.installation.champion, place.installation.champion)


def test_forced_version_is_released_and_the_reason_is_kept(place: Place) -> None:
    worse = place.version(-2.0)
    done = place.deploy(worse, force="the sensor was replaced")
    assert (done.gate, place.live()) == (None, worse)
    [entry] = place.deps.ledger.releases_of_version(worse)
    assert (entry["note"], entry["actor"]) == ("without the gate: the sensor was replaced", "ann")


@pytest.mark.parametrize(
    ("trained_until", "rows"),
    [(START + timedelta(days=14, hours=20), 0), (START + timedelta(days=14), 80)],
)
def test_rows_that_a_version_was_trained_on_are_no_evidence(
    place: Place, trained_until: datetime, rows: int
) -> None:
    """Outcomes take 2 h: rows from 2 h after the end of training to 2 h before the newest row at 23:45 remain."""
    done = place.deploy(place.version(-2.0, trained_until=trained_until))
    assert done.gate is None
    assert done.notes == (
        f"the gate was not applied: the lake has {rows} rows with outcomes that neither version was trained on in the last "
        "gate.holdout, and gate.minimum_rows is 100",
    )


def test_served_version_is_not_compared_with_itself(place: Place) -> None:
    done = place.deploy(place.installation.champion)
    assert (done.new, done.gate, done.notes) == (False, None, ())


def promote(releaser: Releaser, version: str, champion: str) -> None:
    releaser.promote(
        MODEL, version=version, champion=champion, actor="loop", run_id="run-1", cause_key="k", note=""
    )


def meanwhile(place: Place, act: Callable[[], object]) -> Place:
    """The place, with something that happens once while the gate opens the models."""
    acts = [act]

    def open_model(*args: Any, **options: Any) -> Any:
        if acts:
            acts.pop()()
        return open_in_process(*args, **options)

    place.deps = replace(place.deps, open_model=open_model)
    return place


def project_version(place: Place) -> str:
    project = place.deps.ledger.project(MODEL)
    assert project is not None
    return project.version


def test_promotion_while_the_gate_compares_is_not_undone(place: Place) -> None:
    champion, promoted, mine = place.installation.champion, place.version(2.0), place.version(1.0)
    meanwhile(place, lambda: promote(place.deps.releaser, promoted, champion))
    with pytest.raises(Conflict, match="was compared with .*, but .* is served now") as refused:
        place.deploy(mine)
    assert refused.value.hint.startswith("deploy again")
    assert (place.live(), project_version(place)) == (promoted, champion)


def test_rollback_while_the_gate_compares_is_not_undone(place: Place) -> None:
    champion, bad, mine = place.installation.champion, place.version(-2.0), place.version(2.0)
    promote(place.deps.releaser, bad, champion)
    meanwhile(place, lambda: place.deps.releaser.roll_back(MODEL, "loop", "worse", 1, None, lambda *_: None))
    with pytest.raises(Conflict, match="is served now"):
        place.deploy(mine)
    assert (place.live(), project_version(place)) == (champion, champion)


def contradict(place: Place, share: float) -> None:
    """Another sender posts the opposite outcomes for a share of all predictions."""
    path = place.installation.lake.outcomes(MODEL)
    known = DeltaTable(path).to_pyarrow_table()
    some = known.filter(pa.array([row % 100 < 100 * share for row in range(known.num_rows)]))
    column = some.schema.get_field_index("value")
    opposite = some.set_column(column, some.schema.field(column), pc.subtract(1.0, some["value"]))
    column = some.schema.get_field_index("writer")
    other = opposite.set_column(column, some.schema.field(column), pa.array(["other"] * some.num_rows))
    write_deltalake(path, other, mode="append")


def test_contradicting_outcomes_judge_nothing(place: Place) -> None:
    contradict(place, 0.3)
    good = place.version(2.0)
    with pytest.raises(
        Conflict, match=r"the gate cannot judge version .*: \d+ of \d+ outcomes contradict another one"
    ) as refused:
        place.deploy(good)
    assert "--force REASON" in refused.value.hint
    assert place.live() == place.installation.champion
    assert place.deploy(good, force="the first sender is right").new


def rolled_back(place: Place, rows_from: datetime) -> None:
    champion = place.installation.champion
    place.deps.ledger.watches.begin(
        Watch(
            MODEL, 2, "b", champion, 1, "promotion", "run-1", "log_loss", 0.0, START, "rolled_back",
            rows_from=rows_from,
        )
    )  # fmt: skip


def test_rows_before_a_rolled_back_release_are_no_evidence(place: Place) -> None:
    """Four rows an hour, from 12:00 of the 13th day to 21:45 of the 15th, 2 h before the newest row."""
    rolled_back(place, START + timedelta(days=12, hours=12))
    done = place.deploy(place.version(2.0))
    assert done.gate is not None
    assert done.gate["rows"] == 232


def test_too_few_rows_after_a_rollback_are_a_refusal(place: Place) -> None:
    rolled_back(place, START + timedelta(days=14, hours=12))
    with pytest.raises(
        Conflict,
        match="40 rows .* are newer than the release that was rolled back, and gate.minimum_rows is 100",
    ):
        place.deploy(place.version(2.0))
    assert place.live() == place.installation.champion


def test_version_trained_since_the_rollback_is_released_with_a_note(place: Place) -> None:
    """The rollback leaves out no row that the gate could use: the version was trained on them all."""
    rolled_back(place, START + timedelta(days=14))
    done = place.deploy(place.version(2.0, trained_until=START + timedelta(days=14)))
    assert (done.gate, [note[:24] for note in done.notes]) == (None, ["the gate was not applied"])


def test_a_deployment_whose_process_died_after_the_release_is_completed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = place.installation.spec
    later = place.installation.spec.model_copy(update={"automation": "approve"})
    place.installation = replace(place.installation, spec=later)
    version = place.version(2.0)

    def die(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "record_project", die)
        with pytest.raises(RuntimeError, match="killed"):
            place.deploy(version)
    before = place.deps.ledger.project(MODEL)
    assert before is not None
    assert (before.version, before.loop.automation) == (place.installation.champion, spec.automation)
    record_unfinished(place.deps)
    done = place.deps.ledger.project(MODEL)
    assert done is not None
    assert (done.version, done.loop.automation, done.directory) == (version, "approve", before.directory)
    # A promotion or rollback is no deployment: its project is the one that was deployed.
    place.deps.releaser.roll_back(MODEL, "ann", "", None, None, lambda *_: None)
    record_unfinished(place.deps)
    assert place.deps.ledger.project(MODEL) == done


def test_models_beyond_the_maximum_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first version of another model is: those that exist are deployed and rolled back as before."""
    place = Place(tmp_path)
    place.deps = replace(place.deps, settings=RetrainingSettings(latency_calls=5, maximum_models=1))
    assert place.deploy(place.version(2.0)).new
    monkeypatch.setattr(place.deps.store, "models", lambda: ["other"])
    monkeypatch.setattr(place.deps.store, "live_release", lambda _: None)
    with pytest.raises(Conflict, match="1 models have a release, the maximum is 1") as refused:
        place.deploy(place.version(3.0))
    assert "HOMEOSTAT_RETRAINING_MAXIMUM_MODELS" in refused.value.hint


def test_a_log_that_cannot_be_read_stops_no_other(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: str) -> None:
        raise IntegrityError("the release log was changed")

    monkeypatch.setattr(place.deps.store, "live_release", away)
    record_unfinished(place.deps)
