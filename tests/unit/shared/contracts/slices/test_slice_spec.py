"""Slices: the specification, and the rows that belong to each."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from shared.contracts.feature import Feature
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from shared.contracts.slices.slice_spec import SliceSpec, check_slices, slices_of
from shared.errors import InvalidLoopSpec

FEATURES = (
    Feature(name="distance", type="number"),
    Feature(name="hour", type="integer"),
    Feature(name="weekend", type="boolean"),
    Feature(name="origin", type="category", values=("EWR", "JFK")),
    Feature(name="plane", type="category", unknown="serve"),
    Feature(name="person", type="category", unknown="serve", personal=True),
)
TABLE = pa.table(
    {
        "f_distance": [100.0, 0.1, None],
        "f_hour": [2, 1, 2],
        "f_weekend": [True, False, True],
        "f_origin": ["EWR", "JFK", None],
        "f_plane": ["B", "A", None],
    }
)


def test_each_value_of_a_feature_and_the_rows_of_a_condition() -> None:
    declared = [SliceSpec(feature=name) for name in ("origin", "weekend", "hour", "plane")]
    declared.append(SliceSpec(where="distance > 50", name="long"))
    found = {one.name: one.rows(TABLE, "f_").tolist() for one in slices_of(declared, FEATURES, TABLE, "f_")}
    assert found == {
        "origin=EWR": [True, False, False],
        "origin=JFK": [False, True, False],
        "weekend=false": [False, True, False],
        "weekend=true": [True, False, True],
        "hour=2": [True, False, True],
        "hour=1": [False, True, False],
        "plane=A": [False, True, False],
        "plane=B": [True, False, False],
        "long": [True, False, False],
    }


def test_of_an_open_feature_the_most_frequent_values_are_slices() -> None:
    values = [value for value in range(30) for _ in range(value + 1)]
    found = slices_of([SliceSpec(feature="hour")], FEATURES, pa.table({"hour": values}))
    assert [one.name for one in found] == [f"hour={value}" for value in range(29, 9, -1)]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "give exactly one of `feature`"),
        ({"feature": "origin", "where": "weekend", "name": "x"}, "give exactly one of `feature`"),
        ({"where": "weekend"}, "`where` needs a `name`"),
        ({"feature": "origin", "name": "x"}, "`where` needs a `name`, and `feature` has none"),
    ],
)
def test_a_slice_has_one_form(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SliceSpec.model_validate(document)


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ([{"feature": "orign"}], "slices.0.feature is orign, which is not a feature"),
        ([{"feature": "distance"}], "slices.0.feature is distance, a number; expected"),
        ([{"feature": "person"}], "slices.0.feature is person, which is personal"),
        ([{"feature": "hour"}, {"feature": "hour"}], "slices names each value of hour twice"),
        ([{"where": "distance >", "name": "long"}], r"slices.0.where \(long\) at character 11: expected"),
    ],
)
def test_slices_fit_the_features(slices: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_slices([SliceSpec.model_validate(one) for one in slices], FEATURES)


def test_the_number_of_slices_is_bounded() -> None:
    many = Feature(name="many", type="category", values=tuple(f"v{n}" for n in range(101)))
    with pytest.raises(
        ValueError, match=r"slices.0 \(each value of many\) makes 101 slices; expected at most 100"
    ):
        check_slices([SliceSpec(feature="many")], [many])


def test_slices_are_part_of_loop_yaml(loop_document: dict[str, Any]) -> None:
    plain = LoopSpec.model_validate(loop_document)
    assert "slices" not in plain.model_dump(mode="json")
    loop_document["slices"] = [{"feature": "carrier"}, {"where": "carrier == 'AA'", "name": "american"}]
    spec = LoopSpec.model_validate(loop_document)
    assert spec.model_dump(mode="json")["slices"] == loop_document["slices"]
    assert LoopSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_a_misspelt_slice_is_refused_with_its_place(loop_document: dict[str, Any]) -> None:
    loop_document["slices"] = [{"where": "carier == 'AA'", "name": "american"}]
    with pytest.raises(InvalidLoopSpec) as refused:
        parse_loop_spec(json.dumps(loop_document))
    assert "slices.0.where (american) at character 1: carier is not a feature; did you mean carrier?" in str(
        refused.value
    )
