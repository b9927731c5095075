from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

import homeostat
from homeostat.model_export.libraries.input_checks import not_one_tensor, refuse_nan, refuse_texts
from shared.errors import ExportRefused

ROWS = pd.DataFrame({"amount": [0.5, -1.0, 2.0], "age": [1.0, 2.0, 3.0], "outcome": [1.0, 0.0, 1.0]})


class Sum(nn.Module):
    def forward(self, amount: Tensor, age: Tensor) -> Tensor:
        return torch.sigmoid(amount + age.float())


def product(element: int, rows: Any = "N") -> onnx.ModelProto:
    """amount * age of two inputs of a type."""
    inputs = [helper.make_tensor_value_info(name, element, [rows]) for name in ("amount", "age")]
    nodes = [
        helper.make_node("Cast", ["amount"], ["left"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["age"], ["right"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["left", "right"], ["score"]),
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, [rows])
    graph = helper.make_graph(nodes, "product", inputs, [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize(
    ("ages", "kind"),
    [
        (pd.array([1, None, 3], dtype="Int64"), "int64"),
        (pd.array([True, None, False], dtype="boolean"), "bool"),
    ],
)
def test_missing_whole_numbers_and_booleans_are_refused_by_column(
    ages: Any, kind: str, tmp_path: Path
) -> None:
    rows = ROWS.assign(age=ages)
    with pytest.raises(
        ExportRefused, match=f"column 'age' has missing values, and the model takes it as {kind}"
    ) as refused:
        homeostat.export(Sum(), rows, tmp_path)
    exec(refused.value.hint.partition("float32: ")[2], {"rows": rows})
    assert rows["age"].dtype == np.float32
    element = TensorProto.INT64 if kind == "int64" else TensorProto.BOOL
    with pytest.raises(
        ExportRefused, match=f"column 'amount' has missing values, and the model takes it as {kind}"
    ):
        homeostat.export(product(element), ROWS.assign(amount=[np.nan, 1.0, 0.0]), tmp_path)


def test_the_line_of_the_hint_exports_a_column_with_missing_values(tmp_path: Path) -> None:
    class Filled(nn.Module):
        def forward(self, amount: Tensor, age: Tensor) -> Tensor:
            return torch.sigmoid(amount + torch.nan_to_num(age))

    rows = ROWS.assign(age=pd.array([1, None, 3], dtype="Int64").astype("float32"))
    report = homeostat.export(Filled(), rows, tmp_path)
    assert report.columns[1].feature.nullable
    assert not any(one.differing for one in report.comparisons)


def test_a_fixed_number_of_rows_is_refused_with_the_option_that_frees_it(tmp_path: Path) -> None:
    with pytest.raises(
        ExportRefused, match=r"input 'amount' has the shape \[1\]: its number of rows is fixed"
    ) as refused:
        homeostat.export(product(TensorProto.FLOAT, rows=1), ROWS, tmp_path)
    assert "dynamic_axes={'amount': {0: 'rows'}}" in refused.value.hint


def test_an_input_that_is_no_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="the input 'age', which is not a column of the rows"):
        homeostat.export(product(TensorProto.FLOAT), ROWS.rename(columns={"age": "years"}), tmp_path)


@pytest.mark.parametrize(
    ("returned", "found", "chosen"),
    [
        ((torch.zeros(3), torch.zeros(3)), "a tuple of 2", "[0]"),
        (
            {"logit": torch.zeros(3), "hidden": torch.zeros(3)},
            "a dict with the keys 'logit', 'hidden'",
            "['logit']",
        ),
        (Path(), "Path", ".scores"),
    ],
)
def test_what_is_not_one_tensor_is_named(returned: Any, found: str, chosen: str) -> None:
    with pytest.raises(ExportRefused, match=f"forward returns .*{found}") as refused:
        raise not_one_tensor(returned)
    assert refused.value.hint.endswith(chosen)


def test_a_module_of_two_outputs_is_refused(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, amount: Tensor, age: Tensor) -> tuple[Tensor, Tensor]:
            return amount, age

    with pytest.raises(ExportRefused, match="a tuple of 2, not one tensor"):
        homeostat.export(Two(), ROWS, tmp_path)


def linear() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), nn.Flatten(0)).eval()


def test_columns_with_missing_values_are_named_where_the_scores_are_nan(tmp_path: Path) -> None:
    rows = ROWS.assign(age=[1.0, np.nan, 3.0])
    with pytest.raises(
        ExportRefused, match="returns NaN for 1 of 3 rows, which have missing values in 'age'"
    ):
        homeostat.export(linear(), rows, tmp_path)


def test_nan_without_missing_values_is_refused_by_its_row() -> None:
    with pytest.raises(ExportRefused, match="returns NaN for row 1, which has no missing value"):
        refuse_nan(np.array([[0.5], [np.nan], [0.5]]), ROWS[["amount"]])


@pytest.mark.parametrize("library", ["torch", "ONNX"])
def test_text_column_may_be_the_outcome(tmp_path: Path, library: str) -> None:
    model: Any = linear()
    if library == "ONNX":
        inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", 2])]
        output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"])
        axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
        node = helper.make_node("ReduceSum", ["X", "axis"], ["score"], keepdims=0)
        graph = helper.make_graph([node], "sum", inputs, [output], [axis])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    rows = ROWS[["amount", "age"]].assign(label=["good", "bad", "good"])
    with pytest.raises(ExportRefused, match=r"cannot take the column 'label'.*pass outcome='label'"):
        homeostat.export(model, rows, tmp_path)


def test_column_of_torch_tensors_is_refused_with_numpy() -> None:
    rows = pd.DataFrame({"image": list(torch.zeros(3, 2))})
    with pytest.raises(
        ExportRefused, match=r"holds tensors of torch .*one\.numpy\(\) for one in rows\['image'\]"
    ):
        refuse_texts(rows, "a torch module")


def test_one_column_too_many_is_no_matter_of_shapes(tmp_path: Path) -> None:
    rows = ROWS.assign(extra=1.0)
    with pytest.raises(ExportRefused, match=r"\[N, 3\]") as refused:
        homeostat.export(linear(), rows, tmp_path)
    assert refused.value.hint.startswith("it was given the columns amount, age, extra: name those of the fit")
