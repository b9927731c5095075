"""The baseline comparison: exact losses on the same rows, no stale values, and nothing blocks on it."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import structlog

from services.retraining.bootstrap import Service, build
from services.retraining.cause import Cause
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.baseline_comparison import (
    BaselineComparison,
    compare_with_first,
    first_version,
)
from services.retraining.rollout.baseline_watch import BaselineWatch
from services.retraining.rollout.stored_model import StoredModel
from services.retraining.settings import RetrainingSettings
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.release import Release
from shared.contracts.verdict import Verdict
from shared.errors import DependencyUnavailable, IntegrityError, UnservableModel
from shared.stores.lake import Lake
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_installation import (
    MODEL,
    START,
    Installation,
    loop_with,
    make_installation,
    package_poor_champion,
)
from tests.fakes.retraining_service import wait_for
from tests.waiting import bound

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

SETTINGS = RetrainingSettings(listen=False, mlflow=False, latency_calls=5)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """A first version that is worse than a coin, and a better one released after it."""
    made = make_installation(tmp_path, days=4)
    better = package_poor_champion(tmp_path, made.spec, made.store, made.keys, slope=2.0)
    for generation, version in enumerate((made.champion, better), 1):
        made.store.add_release(
            Release(
                model=MODEL,
                generation=generation,
                version=version,
                reason="deployment",
                actor="ann",
                released_at=START,
            )
        )
    return made


def served(installation: Installation) -> Verdict:
    """About what was released last; its rows were answered with 0.5 throughout."""
    return installation.verdict(3, version=installation.store.releases(MODEL)[-1].version)


def rows_of(installation: Installation, verdict: Verdict, newest: int = 1000) -> tuple[Any, Any]:
    rows = installation.lake.read_joined(MODEL, verdict.window_start, verdict.window_end, with_outcome=True)
    x = np.nan_to_num(rows["f_x"].to_numpy().astype(np.float32))[-newest:]
    return x, rows["outcome"].to_numpy()[-newest:]


def log_loss(p: Any, outcomes: Any) -> float:
    return float(-(outcomes * np.log(p) + (1 - outcomes) * np.log(1 - p)).mean())


def open_first(installation: Installation) -> StoredModel:
    """It stays usable: nothing is closed when a model was opened in this process."""
    with first_version(installation.store, installation.keys, MODEL, open_in_process) as first:
        return first


def compare(
    installation: Installation, verdict: Verdict, max_rows: int = 1000, **changes: Any
) -> BaselineComparison | None:
    first = replace(open_first(installation), **changes)
    return compare_with_first(installation.lake, first, installation.spec, verdict, max_rows=max_rows)


@pytest.mark.parametrize("newest", [1000, 10])
def test_both_losses_use_the_same_newest_rows(installation: Installation, newest: int) -> None:
    verdict = served(installation)
    x, outcomes = rows_of(installation, verdict, newest)
    found = compare(installation, verdict, newest)
    assert found is not None
    assert found.baseline_loss == pytest.approx(log_loss(1 / (1 + np.exp(0.5 * x)), outcomes), abs=1e-6)
    assert found.served_loss == pytest.approx(math.log(2), abs=1e-12)
    assert (found.rows, found.metric) == (min(96, newest), "log_loss")
    assert (found.window_start, found.window_end) == (verdict.window_start, verdict.window_end)


class OneTimestamp(Lake):
    """A lake whose rows all have one timestamp, as in a batch."""

    def read_joined(self, *args: Any, **more: Any) -> pa.Table:
        rows = super().read_joined(*args, **more)
        place = rows.schema.get_field_index("event_time")
        same = pa.array([START + timedelta(days=2)] * rows.num_rows, rows.schema.field(place).type)
        return rows.set_column(place, "event_time", same)


def test_rows_of_one_timestamp_are_bounded(installation: Installation) -> None:
    first = open_first(installation)
    found = compare_with_first(
        OneTimestamp(installation.lake.root), first, installation.spec, served(installation), max_rows=10
    )
    assert found is not None
    assert found.rows == 10


def test_rows_of_another_generation_are_excluded(installation: Installation) -> None:
    assert compare(installation, served(installation).model_copy(update={"generation": 2})) is None


def test_rmse_is_the_root_of_the_mean(installation: Installation) -> None:
    spec = LoopSpec.model_validate(
        loop_with(prediction={"kind": "value"}, metric={"name": "rmse", "floor": 1})
    )
    first = open_first(installation)
    found = compare_with_first(installation.lake, first, spec, served(installation), max_rows=1000)
    assert found is not None
    assert found.served_loss == pytest.approx(0.5, abs=1e-12)


def test_missing_features_cannot_be_compared(installation: Installation) -> None:
    spec = loop_with(
        features=[{"name": "x", "type": "number"}, {"name": "color", "type": "category", "values": ["red"]}]
    )
    strict = LoopSpec.model_validate(spec)
    with pytest.raises(UnservableModel, match="feature x has missing values"):
        compare(installation, served(installation), spec=strict)
    fewer = LoopSpec.model_validate(loop_with(features=[{"name": "x", "type": "number", "nullable": True}]))
    first = open_first(installation)
    with pytest.raises(UnservableModel, match="takes color, which loop.yaml no longer has"):
        compare_with_first(installation.lake, first, fewer, served(installation), max_rows=10)


def tamper(installation: Installation) -> None:
    stored = installation.home / "models" / MODEL / "versions" / installation.champion / "model.onnx"
    stored.write_bytes(stored.read_bytes() + b"\0")


def test_versions_of_different_kinds_cannot_be_compared(installation: Installation) -> None:
    first = open_first(installation)
    classes = loop_with(prediction={"kind": "classes", "labels": [0, 1]})
    with pytest.raises(
        UnservableModel, match="are of kind probability, those of the served one of kind classes"
    ):
        compare_with_first(
            installation.lake, first, LoopSpec.model_validate(classes), installation.verdict(2), max_rows=10
        )


def test_first_version_is_verified_before_loading(installation: Installation) -> None:
    tamper(installation)
    with pytest.raises(IntegrityError, match="another digest"):
        open_first(installation)


@dataclass(frozen=True)
class UnreliableLake(Lake):
    """A lake that may be unavailable, or hang."""

    unavailable: Event = field(default_factory=Event)
    open_again: Event | None = None
    read_started: Event = field(default_factory=Event)

    def read_joined(self, *args: Any, **more: Any) -> pa.Table:
        self.read_started.set()
        if self.unavailable.is_set():
            raise DependencyUnavailable("the lake is unavailable")
        if self.open_again is not None:
            self.open_again.wait(30)
        return super().read_joined(*args, **more)


class Setup:
    """A watch that a test drives."""

    def __init__(self, installation: Installation, lake: Lake | None = None) -> None:
        self.metrics = RetrainingMetrics()
        self.watch = BaselineWatch(
            installation.store,
            lake or installation.lake,
            installation.keys,
            self.metrics,
            list,
            Event(),
            pause=0.01,
            open_model=open_in_process,
        )

    def losses(self) -> tuple[float | None, float | None]:
        baseline, served = (
            self.metrics.registry.get_sample_value(f"homeostat_retraining_{name}_loss", {"model": MODEL})
            for name in ("baseline", "served")
        )
        return baseline, served


def test_only_the_newest_pending_verdict_is_compared(installation: Installation) -> None:
    setup = Setup(installation)
    version = served(installation).version
    for day in (1, 3, 2):
        setup.watch.observe(installation.verdict(day, version=version))
    assert (setup.watch.compare_once(), setup.watch.compare_once()) == (True, False)
    assert setup.watch.comparisons()[MODEL].window_end == START + timedelta(days=3)
    found = setup.watch.comparisons()[MODEL]
    assert setup.losses() == (found.baseline_loss, found.served_loss)
    setup.watch.observe(installation.verdict(2, version=version))
    setup.watch.observe(installation.verdict(3, version=version))
    assert not setup.watch.compare_once()


@pytest.mark.parametrize("changes", [{"loss": None}, {"outcomes": 0}, {"detector": "request"}])
def test_requested_verdicts_are_not_compared(installation: Installation, changes: dict[str, Any]) -> None:
    setup = Setup(installation)
    setup.watch.observe(served(installation).model_copy(update=changes))
    assert not setup.watch.compare_once()


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_unloadable_first_version_is_logged_once(installation: Installation, how: str) -> None:
    if how == "changed":
        tamper(installation)
    else:
        (installation.home / "models" / MODEL / "versions" / installation.champion / "manifest.json").unlink()
    setup = Setup(installation)
    with structlog.testing.capture_logs() as logs:
        for day in (2, 3):
            setup.watch.observe(installation.verdict(day, version=served(installation).version))
            assert setup.watch.compare_once()
    assert [entry["event"] for entry in logs] == ["baseline_loss_unavailable"]
    assert (setup.losses(), dict(setup.watch.comparisons())) == ((None, None), {})


def test_unknown_loss_removes_the_series(installation: Installation) -> None:
    setup = Setup(installation)
    setup.watch.observe(served(installation))
    setup.watch.compare_once()
    assert setup.losses()[0] is not None
    # A window no row of which has an outcome in the lake.
    setup.watch.observe(
        served(installation).model_copy(update={"generation": 9, "window_end": START + timedelta(days=4)})
    )
    setup.watch.compare_once()
    assert setup.losses() == (None, None)


def test_unavailable_lake_is_retried(installation: Installation) -> None:
    lake = UnreliableLake(installation.lake.root, unavailable=Event())
    lake.unavailable.set()
    setup = Setup(installation, lake)
    setup.watch.observe(served(installation))
    with pytest.raises(DependencyUnavailable):
        setup.watch.compare_once()
    lake.unavailable.clear()
    assert setup.watch.compare_once()
    assert setup.losses()[1] == pytest.approx(math.log(2))


def test_hanging_comparison_blocks_nothing(installation: Installation) -> None:
    lake = UnreliableLake(installation.lake.root, open_again=Event(), read_started=Event())
    setup, stop = Setup(installation), Event()
    watch = BaselineWatch(
        installation.store, lake, installation.keys, setup.metrics, list, stop, open_model=open_in_process
    )
    watch.start()
    watch.observe(installation.verdict(2, version=served(installation).version))
    assert lake.read_started.wait(20)
    began = time.monotonic()
    watch.observe(served(installation))
    assert time.monotonic() - began < bound(1)
    assert dict(watch.comparisons()) == {}
    assert lake.open_again is not None
    lake.open_again.set()
    wait_for(
        lambda: (
            MODEL in watch.comparisons()
            and watch.comparisons()[MODEL].window_end == served(installation).window_end
        ),
        20,
        "both",
    )
    stop.set()
    watch.wake()


def test_verdicts_of_other_services_are_compared(installation: Installation) -> None:
    """One of several services consumes a verdict; the others read it from the ledger, and all expose the same values."""
    ledger: list[Verdict] = [installation.verdict(1, version=served(installation).version)]
    metrics, stop = RetrainingMetrics(), Event()
    watch = BaselineWatch(
        installation.store,
        installation.lake,
        installation.keys,
        metrics,
        lambda: list(ledger),
        stop,
        pause=0.01,
        open_model=open_in_process,
    )
    watch.start()

    def shows(day: int) -> bool:
        return MODEL in watch.comparisons() and watch.comparisons()[MODEL].window_end == START + timedelta(
            days=day
        )

    wait_for(lambda: shows(1), 20, "what the ledger held at the start")
    ledger[:] = [served(installation)]
    wait_for(
        lambda: watch.comparisons()[MODEL].window_end == served(installation).window_end,
        20,
        "what came since",
    )
    stop.set()
    watch.wake()


Opened = tuple[Service, TestClient]


@pytest.fixture
def open_service(installation: Installation) -> Iterator[Callable[[], Opened]]:
    """The whole service with the installation's home; opening it again stops the previous one."""
    with ExitStack() as stack:

        def open_one() -> Opened:
            stack.close()
            service = build(installation.settings, SETTINGS)
            return service, stack.enter_context(
                TestClient(service.app, base_url="http://127.0.0.1", headers=installation.headers)
            )

        yield open_one


def test_comparison_survives_a_restart(
    installation: Installation, open_service: Callable[[], Opened]
) -> None:
    service, client = open_service()
    verdict = served(installation)
    service.controller.deploy(MODEL, verdict.version, str(installation.project), "ann")
    service.controller.handle_cause(Cause.of_verdict(verdict))
    before = shown(client)
    assert (before["rows"], before["metric"]) == (96, "log_loss")
    assert before["window"] == {
        "start": verdict.window_start.isoformat(),
        "end": verdict.window_end.isoformat(),
    }
    _, again = open_service()
    assert shown(again) == before


def shown(client: TestClient) -> dict[str, Any]:
    """What `/status` says about the model, once it has compared; and `/metrics` says the same."""

    def entry() -> dict[str, Any]:
        [found] = client.get("/status").json()["models"]
        return dict(found)

    wait_for(lambda: entry()["baseline_loss"] is not None, 30, "the comparison")
    status, text = entry(), client.get("/metrics").text
    for name in ("baseline_loss", "served_loss"):
        assert f'homeostat_retraining_{name}{{model="toy"}} {status[name]}' in text
    return status
