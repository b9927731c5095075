from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from homeostat.client.inputs import Input, ModelInputs
from shared.errors import InvalidRequest
from tests.fakes.scripted_inference import INPUTS

TENSOR = Input("image", "tensor", shape=(2, 2))


def test_metadata_names_types_and_values() -> None:
    inputs = ModelInputs.from_metadata({"name": "toy", "versions": ["v"], "inputs": INPUTS})
    assert inputs.names == ["amount", "count", "member", "colour"]
    assert [one.type for one in inputs] == ["number", "integer", "boolean", "category"]
    assert (inputs[0].nullable, inputs[3].values) == (True, ("red", "green"))


def test_inputs_are_printed_as_a_table() -> None:
    temperature = {
        "name": "temp",
        "datatype": "FP32",
        "shape": [-1],
        "parameters": {"type": "number", "nullable": True, "minimum": -40.0, "maximum": 130.0},
    }
    image = {"name": "image", "datatype": "FP32", "shape": [-1, 1, 8], "parameters": {"type": "tensor"}}
    document = {"name": "toy", "versions": ["ab" * 32], "inputs": [*INPUTS[2:], temperature, image]}
    assert str(ModelInputs.from_metadata(document)).splitlines() == [
        "4 inputs of toy, version abababababab",
        "name    type      missing  valid",
        "member  boolean   no",
        "colour  category  no       red, green",
        "temp    number    yes      -40 to 130",
        "image   tensor    no       shape [1, 8]",
    ]


def test_long_lists_of_values_are_cut() -> None:
    assert Input("a", "category", values=tuple("abcdefghij")).valid == "a, b, c, d, e, f, g, h, …"
    assert Input("a", "number", maximum=5.0).valid == "at most 5"


def test_category_that_serves_unknown_values_takes_any_text() -> None:
    colour = {**INPUTS[3], "parameters": {**INPUTS[3]["parameters"], "unknown": "serve"}}
    inputs = ModelInputs.from_metadata({"name": "toy", "versions": ["v"], "inputs": [colour]})
    assert inputs.convert([{"colour": "blue"}]) == [{"colour": "blue"}]


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("mean radius", "mean_radius"),
        ("length (cm)", "length_cm"),
        ("2nd, floor", "x_2nd_floor"),
        ("score", "score_"),
    ],
)
def test_rows_may_have_the_columns_that_an_export_renamed(column: str, name: str) -> None:
    inputs = ModelInputs("toy", "v", [Input(name, "number"), Input("other", "number")])
    assert inputs.convert([{column: 1, "other": 2}, {name: 3, "other": 4}]) == [
        {name: 1, "other": 2},
        {name: 3, "other": 4},
    ]


def test_two_columns_of_one_name_are_not_confused() -> None:
    inputs = ModelInputs("toy", "v", [Input("a_b", "number")])
    with pytest.raises(InvalidRequest, match="no input 'a b'"):
        inputs.convert([{"a b": 1, "a_b": 2}])
    with pytest.raises(InvalidRequest, match="no input 'a b'"):
        inputs.convert([{"a b": 1, "a-b": 2}])


def test_misspelt_input_is_guessed() -> None:
    inputs = ModelInputs("toy", "v", [Input("Debt_Income", "number"), Input("age", "number")])
    with pytest.raises(InvalidRequest) as refused:
        inputs.convert([{"DebtIncom": 1, "age": 2}])
    assert refused.value.hint == "did you mean Debt_Income?"


def test_unknown_input_is_refused_with_the_known_ones() -> None:
    inputs = ModelInputs("toy", "v", [Input("amount", "number")])
    with pytest.raises(InvalidRequest, match=r"no input 'color' \(row 1\).*the inputs are amount") as refused:
        inputs.convert([{"amount": 1}, {"amount": 1, "color": 2}])
    assert (refused.value.field, refused.value.row) == ("color", 1)
    assert "client.predict(frame[client.inputs().names])" in refused.value.hint


@pytest.mark.parametrize(
    ("one", "given", "sent"),
    [
        (Input("a", "number"), np.float32(0.5), 0.5),
        (Input("a", "number", nullable=True), np.nan, None),
        (Input("a", "integer"), 3.0, 3),
        (Input("a", "integer"), np.int8(3), 3),
        (Input("a", "boolean"), np.True_, True),
        (Input("a", "integer", minimum=0, maximum=1), np.True_, 1),
        (Input("a", "integer", nullable=True, minimum=0, maximum=1), False, 0),
        (Input("a", "category"), np.str_("x"), "x"),
        (TENSOR, np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
        (TENSOR, ((1, 2), (3, 4)), [[1, 2], [3, 4]]),
    ],
)
def test_values_are_converted(one: Input, given: Any, sent: Any) -> None:
    converted = one.convert(given, 0)
    assert converted == sent
    assert type(converted) is type(sent)


@pytest.mark.parametrize(
    ("one", "given", "words"),
    [
        (Input("a", "number"), True, "is True; expected a finite number"),
        (Input("a", "number"), float("inf"), "is inf; expected a finite number"),
        (Input("a", "number"), 10**400, "expected a finite number"),
        (Input("a", "number"), "1", "is '1'"),
        (Input("a", "number"), None, "is missing; expected a finite number"),
        (Input("a", "integer"), 3.5, "is 3.5; expected a 64-bit integer"),
        (Input("a", "integer"), 2**63, "expected a 64-bit integer"),
        (Input("a", "integer", maximum=3), True, "is True; expected a 64-bit integer"),
        (Input("a", "boolean"), 1, "is 1; expected true or false"),
        (Input("a", "category", values=("x",)), "y", "is 'y'; expected one of x"),
        (Input("a", "category"), 3, "is 3; expected text"),
        (Input("a", "number"), np.datetime64("2026-03-01T00:00:00", "ns"), "expected a finite number"),
        (TENSOR, [[1, 2]], r"expected finite numbers of shape \[2, 2\]"),
        (TENSOR, [[1, 2], [3, float("nan")]], r"expected finite numbers of shape \[2, 2\]"),
    ],
)
def test_wrong_values_are_refused(one: Input, given: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as refused:
        one.convert(given, 4)
    assert (refused.value.field, refused.value.row) == (one.name, 4)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00.000000+00:00"),
        (pd.Timestamp("2026-03-01T12:00:00.000001999Z"), "2026-03-01T12:00:00.000001+00:00"),
        (pd.Timestamp("2026-03-01T13:00:00", tz="Europe/Zurich"), "2026-03-01T13:00:00.000000+01:00"),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
    ],
)
def test_times_are_sent_with_their_offset(given: Any, sent: str) -> None:
    assert Input("ordered_at", "timestamp").convert(given, 0) == sent


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (datetime(2026, 3, 1), "without an offset from UTC"),
        ("2026-03-01T12:00:00", "without an offset from UTC"),
        (np.datetime64("2026-03-01"), "`ordered_at` is "),
        (1_772_366_400, "`ordered_at` is 1772366400"),
        (pd.NaT, "feature ordered_at of row 3 is missing; expected a time with an offset from UTC"),
    ],
)
def test_what_is_no_time_with_an_offset_is_refused(given: Any, said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Input("ordered_at", "timestamp").convert(given, 3)
    assert said in str(refused.value)
    assert (refused.value.field, refused.value.row) == ("ordered_at", 3)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1.0, 2.0, 3.0]], "has shape [1, 3]"),
        ([1.0, 2.0], "has shape [2]"),
        (np.zeros((2, 2, 1)), "has shape [2, 2, 1]"),
        ([[1.0, 2.0], [3.0]], "is [[1.0, 2.0], [3.0]]"),
        ([[1.0, 2.0], [3.0, "x"]], "is [[1.0, 2.0], [3.0, 'x']]"),
    ],
)
def test_a_tensor_of_another_shape_is_named_by_its_shape(value: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(f"feature image of row 3 {words}; expected")):
        TENSOR.convert(value, 3)
