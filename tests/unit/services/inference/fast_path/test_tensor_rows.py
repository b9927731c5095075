"""Rows of one tensor, read by a plan."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from services.inference.fast_path.number_array import NumberArrays
from services.inference.fast_path.request_groups import Asked
from services.inference.fast_path.tensor_rows import TensorRowsPlan, around_lists, plan_tensor_rows
from services.inference.models.input_schema import Batch, Schema
from services.inference.models.servable import Servable
from shared.contracts.feature import Feature

NUMBERS = NumberArrays()


def servable(*shape: int, model: str = "m", name: str = "x") -> Servable:
    schema = Schema([Feature(name=name, type="tensor", shape=shape)])
    return cast(Servable, SimpleNamespace(model=model, schema=schema))


def body(rows: list[Any], **rest: Any) -> bytes:
    return json.dumps({"model": "m", "rows": [{"x": row} for row in rows], **rest}).encode()


def plan_of(raw: bytes, of: Servable) -> TensorRowsPlan | None:
    around = around_lists(raw, 0, len(raw))
    return None if around is None else plan_tensor_rows(of, around)


def read(plan: TensorRowsPlan, *bodies: bytes, start: int = 0) -> list[Batch] | None:
    def asked(raw: bytes) -> Asked:
        first, last = start + len(plan.before), len(raw) - len(plan.after)
        return Asked(raw, first, last, lambda reply: None, 0.0)

    return plan.read([asked(raw) for raw in bodies], NUMBERS)


@pytest.mark.parametrize("count", [1, 2, 3, 50])
@pytest.mark.parametrize("start", [0, 7])
def test_rows_are_read(count: int, start: int) -> None:
    rows = np.random.default_rng(count).normal(size=(count, 5)).round(3)
    raw = b"#" * start + body(rows.tolist())
    plan = plan_of(raw[start:], servable(5))
    assert plan is not None
    assert plan.fits(raw, start, len(raw))
    assert plan.rows(raw, start + len(plan.before), len(raw) - len(plan.after)) == count
    batches = read(plan, raw, start=start)
    assert batches is not None
    (batch,) = batches
    assert batch.rows == count
    assert batch.feeds["x"].tobytes() == rows.astype(np.float32).tobytes()
    assert batch.feeds["x"].flags.c_contiguous
    assert batch.columns["x"] is batch.feeds["x"]
    assert not plan.fits(raw + b" ", start, len(raw) + 1)


@pytest.mark.parametrize("count", [1, 2, 60])
def test_bodies_are_read_together_if_they_are_short(count: int) -> None:
    random = np.random.default_rng(count)
    rows = [random.normal(size=(count, 50)).round(3) for _ in range(3)]
    raws = [body(one.tolist()) for one in rows]
    plan = plan_of(raws[0], servable(50))
    assert plan is not None
    batches = read(plan, *raws)
    assert batches is not None
    assert [batch.rows for batch in batches] == ([3 * count] if count < 60 else [60] * 3)
    found = np.concatenate([batch.feeds["x"] for batch in batches])
    assert found.tobytes() == np.concatenate(rows).astype(np.float32).tobytes()


def test_plan_of_one_row_is_not_for_several() -> None:
    one, two = body([[1, 2]]), body([[1, 2], [3, 4]])
    plan_of_one, plan_of_two = plan_of(one, servable(2)), plan_of(two, servable(2))
    assert plan_of_one is not None
    assert plan_of_two is not None
    assert [plan_of_one.fits(raw, 0, len(raw)) for raw in (one, two)] == [True, False]
    assert [plan_of_two.fits(raw, 0, len(raw)) for raw in (one, two)] == [True, True]


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 2], [3, 4, 5, 6]],
        [[1, 2, 3, 4], [5, 6]],
        [[1, 2, 3, 1e16], [5, 6]],
        [[1, 2, 1e16], [4, 5, 6]],
        [[1, 2, 3], [4, 5, 1e16]],
        [[1, 2, 3], [4, 5, 2e15]],
        [[1, 2, 3], [4, [5], 6]],
        [[1, 2, 3], []],
        [[], []],
        [[1, 2, 3], ["4", 5, 6]],
        [[1, 2, 3, 1e16, 4, 5, 6]],
        [[1, [2], 3]],
        [[[1, 2, 3]]],
        [[1, 2, 3], [1, 2, 3, 1e16, 4, 5, 6]],
    ],
)
def test_anything_unclear_is_left_to_the_ordinary_path(rows: list[Any]) -> None:
    right = body([[0, 0, 0]])
    for known in ([[0, 0, 0]], [[0, 0, 0]] * 2):
        plan = plan_of(body(known), servable(3))
        assert plan is not None
        assert read(plan, body(rows)) is None
        assert read(plan, right, body(rows), right) is None
        assert read(plan, right) is not None


@pytest.mark.parametrize(
    "raw",
    [
        body([[1, 2]], event_time="2026-01-01T00:00:00Z"),
        body([[1, 2]], model="other"),
        body([[1, 2]]).replace(b'"x"', b'"y"'),
        body([[1, 2], [1, 2]]).replace(b"]}]", b'], "y": 1}]'),
        b'{"rows":[{"x":[1]}],"model":"[1","model":"m"}',
        b'{"rows":[{"x":[1]},{"x":[2]},{"x":[3]}],"model":"[","model":"m"}',
        b'{"rows":[{"x":[1],"x":[1]}],"model":"m"}',
        b'{"rows":[[1,2]],"model":"m"}',
        b' ["rows",["x"]]',
        b'{"rows":[{"x":[1]},{"x":[2]},{"x":[3]}],"model":"[]","model":"m"}',
        b'{"model":"[[]","rows":[{"x":[1]}],"model":"m"}',
        b'{"rows":[{"x":[1}],"model":"m"}',
    ],
)
def test_other_bodies_have_no_plan(raw: bytes) -> None:
    assert plan_of(raw, servable(2)) is None


@pytest.mark.parametrize("rows", [[[1, 2]], [[1, 2]] * 3])
@pytest.mark.parametrize("again", ['"model"', '"mod\\u0065l"', '"model" '])
def test_body_that_repeats_a_name_has_no_plan(rows: list[Any], again: str) -> None:
    raw = body(rows)
    assert plan_of(raw, servable(2)) is not None
    assert plan_of(b"{" + again.encode() + b':"other",' + raw[1:], servable(2)) is None


def test_only_models_of_one_list_have_plans() -> None:
    assert plan_of(body([[1, 2]]), servable(2)) is not None
    assert plan_of(body([[[1, 2]]]), servable(1, 2)) is None
    two = Schema([Feature(name=name, type="tensor", shape=(2,)) for name in "xy"])
    assert plan_of(body([[1, 2]]), cast(Servable, SimpleNamespace(model="m", schema=two))) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[",
        b"[[",
        b'{"rows":[{"a":1}]}',
        b'{"rows":[' + b" " * 2000 + b"[1]]}",
        b"[[1] " + b" " * 2000,
    ],
)
def test_bodies_without_clear_lists(raw: bytes) -> None:
    assert around_lists(raw, 0, len(raw)) is None
