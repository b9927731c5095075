"""A fault is inferred if the rows differ as they are, and do not once they are repaired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from services.drift.evaluation.classify import Subject
from services.drift.evaluation.columns import Rows, rows_from_table
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.reference_profile import build_reference
from services.drift.monitoring.inferred_faults import InferredFaults
from services.drift.windows import Span
from shared.contracts.loop_spec import LoopSpec
from tests.unit.services.drift.distances import ScipyDistances
from tests.unit.services.drift.world import loop, minutes, ordinary

Floats = npt.NDArray[np.float64]
SUBJECT = Subject("toy", "ab" * 32, 1, "stream", Span(minutes(0), minutes(20)))


def spec(minimum_effect: float = 0.02) -> LoopSpec:
    features = [{"name": name, "type": "number"} for name in ("x", "y")]
    features.append({"name": "c", "type": "category", "unknown": "serve"})
    drift = {"window": {"every": "1h", "minimum_rows": 100}, "minimum_effect": minimum_effect}
    return loop(features=features, drift=drift)


def rows(count: int, seed: int) -> Rows:
    table = pa.table({**ordinary(count, seed), "y": np.random.default_rng(seed + 50).normal(30, 4, count)})
    found = rows_from_table(table, spec())
    return replace(found, columns={**found.columns, "x": found.columns["x"].astype(np.float64) * 6 + 18})


def explained(
    method: str, names: tuple[str, ...], *, minimum_effect: float = 0.02, **changed: Floats
) -> tuple[str, ...]:
    loop_spec = spec(minimum_effect)
    reference = build_reference("ab" * 32, loop_spec, rows(4000, 1))
    found = rows(120, 2)
    found = replace(found, columns={**found.columns, **changed})
    return InferredFaults(Evaluator(ScipyDistances())).explained(method, names, SUBJECT, found, reference)


def now(name: str) -> Floats:
    return rows(120, 2).columns[name].astype(np.float64)


@pytest.mark.parametrize("repair", [2.54, 1000.0, 1 / 3.28084])
def test_values_in_another_unit(repair: float) -> None:
    assert explained("units", ("x",), x=now("x") * repair) == ("x",)


def test_fahrenheit_for_celsius() -> None:
    assert explained("units", ("x",), x=now("x") * 1.8 + 32) == ("x",)


def test_two_columns_that_were_swapped_are_both_named() -> None:
    assert explained("swapped", ("x", "y"), x=now("y"), y=now("x")) == ("x", "y")


def test_statistic_of_a_picture_has_no_unit() -> None:
    """A lamp that fades makes every picture darker by a factor."""
    reference = build_reference("ab" * 32, spec(), rows(4000, 1))
    statistics = tuple(
        replace(column, summary="mean") if column.name == "x" else column for column in reference.columns
    )
    darker = rows(120, 2)
    darker = replace(darker, columns={**darker.columns, "x": now("x") / 2.54})
    faults = InferredFaults(Evaluator(ScipyDistances()))
    assert faults.explained("units", ("x",), SUBJECT, darker, reference) == ("x",)
    assert faults.explained("units", ("x",), SUBJECT, darker, replace(reference, columns=statistics)) == ()


@pytest.mark.parametrize("method", ["units", "swapped", "out_of_range", "frozen"])
def test_shift_that_no_repair_explains(method: str) -> None:
    assert explained(method, ("x", "y"), x=now("x") + 9) == ()
    assert explained(method, ("x", "y"), x=now("x") + 9, y=now("y") - 9) == ()
    assert explained(method, ("x", "y"), x=now("x") * 1.25) == ()


def test_nothing_is_inferred_of_rows_that_come_in_groups_with_one_value() -> None:
    """A storm at three airports looks like miles an hour for metres a second."""
    three = np.quantile(now("x"), [0.2, 0.5, 0.8])[np.arange(120) % 3]
    assert explained("out_of_range", ("x",), x=three * 2.20462) == ()
    other = np.quantile(now("y"), [0.2, 0.5, 0.8])[np.arange(120) % 3]
    assert explained("swapped", ("x", "y"), x=other, y=three) == ()


def test_column_that_is_almost_always_zero_has_no_unit() -> None:
    """Divided by a thousand, any rain looks like none."""
    dry = rows(4000, 1)
    rain = np.where(np.arange(4000) % 20 == 0, dry.columns["x"], 0.0)
    reference = build_reference("ab" * 32, spec(), replace(dry, columns={**dry.columns, "x": rain}))
    faults = InferredFaults(Evaluator(ScipyDistances()))
    assert faults.explained("out_of_range", ("x",), SUBJECT, rows(120, 2), reference) == ()


def test_swap_is_recognised_though_one_column_alone_is_blamed() -> None:
    assert set(explained("out_of_range", ("x",), x=now("y"), y=now("x"))) == {"x", "y"}


def test_one_column_like_another_is_no_swap() -> None:
    assert explained("swapped", ("x", "y"), x=now("y")) == ()


def test_difference_within_the_tolerance_is_no_fault() -> None:
    assert explained("units", ("x",), minimum_effect=50.0, x=now("x") * 1.8) == ()


def test_new_categories_of_an_open_list_are_no_fault() -> None:
    assert explained("new_category", ("c",), c=np.array(["unheard"] * 120, dtype=object)) == ()


def test_columns_that_no_repair_is_for() -> None:
    assert explained("frozen", ("x",), x=np.full(120, 7.0)) == ()
    assert explained("units", ("c", "nothing")) == ()
    assert explained("units", ("x",), x=np.full(120, np.nan)) == ()
