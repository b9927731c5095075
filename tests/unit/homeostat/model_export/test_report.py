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
        (1, "1 feature has another name than its column: 'a 0' is a_0"),
        (2, "2 features have other names than their columns: 'a 0' is a_0, 'a 1' is a_1"),
        (
            21,
            "21 features have other names than their columns: "
            + ", ".join(f"'a {place}' is a_{place}" for place in range(20))
            + ", …",
        ),
    ],
)
def test_renamed_columns_are_counted_and_the_first_shown(count: int, line: str) -> None:
    columns = tuple(Column(f"a {place}", Feature(name=f"a_{place}", type="number")) for place in range(count))
    report = ExportReport("toy", Path("toy"), "LightGBM", VALUE, columns, (), ("model.onnx",))
    assert str(report).splitlines()[1] == line
