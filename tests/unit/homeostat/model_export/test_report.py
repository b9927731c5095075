from __future__ import annotations

from pathlib import Path

import pytest

from homeostat.model_export.columns import Column
from homeostat.model_export.prediction_kind import VALUE
from homeostat.model_export.report import ExportReport
from shared.contracts.feature import Feature


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (2, "2 features have other names than their columns: 'a 0' is a_0, 'a 1' is a_1"),
        (30, "30 features have other names than their columns: 'a 0' is a_0, 'a 1' is a_1, 'a 2' is a_2, …"),
    ],
)
def test_renamed_columns_are_counted_and_the_first_shown(count: int, line: str) -> None:
    columns = tuple(Column(f"a {place}", Feature(name=f"a_{place}", type="number")) for place in range(count))
    report = ExportReport("toy", Path("toy"), "LightGBM", VALUE, columns, (), ("model.onnx",))
    assert str(report).splitlines()[1] == line
