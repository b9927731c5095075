"""Which way a body of `/predict` is read, and that servables are given back."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.inference.fast_path.predict_reader import PredictReader
from services.inference.fast_path.tensor_rows import TensorRowsPlan
from services.inference.models.input_schema import Schema
from services.inference.models.servable import Servable
from shared.contracts.feature import Feature


class Models:
    """Servables by name, with a count of how often each is in use."""

    def __init__(self, **schemas: Schema) -> None:
        self.in_use = 0
        self.current: dict[str | None, Servable] = {}
        for model, schema in schemas.items():
            self.swap(model, schema)

    def swap(self, model: str, schema: Schema) -> Servable:
        servable = cast(Servable, SimpleNamespace(model=model, schema=schema))
        self.current[model] = self.current[None] = servable
        return servable

    def acquire(self, model: str | None) -> Servable | None:
        found = self.current.get(model)
        self.in_use += found is not None
        return found

    def release(self, servable: Servable) -> None:
        self.in_use -= 1

    def reader(self, maximum_rows: int = 10) -> PredictReader:
        return PredictReader(self.acquire, self.release, maximum_rows=maximum_rows)


def tensor(size: int) -> Schema:
    return Schema([Feature(name="x", type="tensor", shape=(size,))])


def columns(count: int) -> Schema:
    return Schema([Feature(name=f"x{place}", type="number") for place in range(count)])


def read(reader: PredictReader, document: object) -> Any:
    raw = json.dumps(document).encode()
    return reader.read(b"head" + raw + b"tail", 4, 4 + len(raw))


def find(reader: PredictReader, document: object) -> TensorRowsPlan | None:
    raw = json.dumps(document).encode()
    return reader.find(b"head" + raw + b"tail", 4, 4 + len(raw))


def test_tensors_have_a_plan_from_the_second_body_on() -> None:
    models = Models(m=tensor(2))
    reader = models.reader()
    body = {"model": "m", "rows": [{"x": [1, 2]}, {"x": [3, 4]}]}
    assert find(reader, body) is None
    first = read(reader, body)
    assert first.check(first.documents).feeds["x"].tolist() == [[1, 2], [3, 4]]
    plan = find(reader, body)
    assert plan is not None
    assert plan.servable is models.current["m"]
    read(reader, body)
    assert find(reader, body) is plan
    assert models.in_use == 2


def test_a_plan_is_made_anew_for_another_version() -> None:
    models = Models(m=tensor(2))
    reader = models.reader()
    body = {"model": "m", "rows": [{"x": [1, 2]}]}
    read(reader, body)
    following = models.swap("m", tensor(3))
    wrong = read(reader, body)  # the check of the new version refuses it, later
    assert wrong.servable is following
    plan = find(reader, body)
    assert plan is not None
    assert plan.servable is following
    assert models.in_use == 2


def test_clients_that_alternate_keep_their_plans() -> None:
    models = Models(m=tensor(2), n=tensor(1))
    reader = models.reader()
    bodies: list[dict[str, Any]] = [
        {"model": "m", "rows": [{"x": [1, 2]}]},
        {"rows": [{"x": [1]}], "model": "n"},
        {"model": "m", "rows": [{"x": [1, 2]}, {"x": [3, 4]}]},
    ]
    for body in bodies:
        read(reader, body)
    for _ in range(2):
        plans = [find(reader, body) for body in bodies]
        assert [plan and plan.servable.model for plan in plans] == ["m", "n", "m"]


def test_a_forgotten_model_is_read_anew() -> None:
    models = Models(n=tensor(2), m=tensor(2))
    reader = models.reader()
    bodies = [{"model": model, "rows": [{"x": [1, 2]}]} for model in ("n", "m")]
    for body in bodies:
        read(reader, body)
    reader.forget("m")
    assert [find(reader, body) is None for body in bodies] == [False, True]


@pytest.mark.parametrize("count", [3, 300])
def test_columns_of_any_number_are_decoded(count: int) -> None:
    models = Models(m=columns(count))
    row = {f"x{place}": place / 2 for place in range(count)}
    found = read(models.reader(), {"rows": [row, row], "model": "m", "event_time": "2026-01-01T00:00:00Z"})
    assert found.event_time.year == 2026
    assert found.check(found.documents).feeds["x2"].tolist() == [1, 1]
    assert models.in_use == 1


@pytest.mark.parametrize("count", [1, 300])
@pytest.mark.parametrize(
    "change",
    [
        {"rows": []},
        {"rows": [{}] * 11},
        {"rows": {}},
        {"rows": None},
        {"other": 1},
        {"model": "n"},
        {"model": 1},
        {"event_time": "yesterday"},
        {"event_time": 1},
    ],
)
def test_what_is_wrong_is_given_back(count: int, change: dict[str, Any]) -> None:
    models = Models(m=columns(count))
    row = {f"x{place}": 1 for place in range(count)}
    assert read(models.reader(), {"model": "m", "rows": [row], **change}) is None
    assert models.in_use == 0


@pytest.mark.parametrize("count", [3, 300])
def test_repeated_name_is_given_back(count: int) -> None:
    """Of a wide table too, whose rows are read as objects."""
    models = Models(m=columns(count))
    raw = json.dumps(
        {"model": "m", "rows": [{f"x{place}": 1 for place in range(count)}]}, separators=(",", ":")
    ).encode()
    assert models.reader().read(raw, 0, len(raw)) is not None
    for again in (b'"x1":1,"x1":1', b'"x1":1,"x1" :1', b'"x1":1,"\\u00781":1'):
        wrong = raw.replace(b'"x1":1', again, 1)
        assert models.reader().read(wrong, 0, len(wrong)) is None
    assert models.in_use == 1


def test_a_name_that_only_looks_like_the_model_decides_nothing() -> None:
    schema = Schema([Feature(name="x", type="text")])
    models = Models(n=schema, m=schema)
    reader = models.reader()
    for members in (b'"\\u006dodel":"m","model":"n"', b'"model":"n","\\u006dodel":"m"'):
        raw = b'{"rows":[{"x":"a"}],%b}' % members
        assert reader.read(raw, 0, len(raw)) is None
    assert models.in_use == 0
