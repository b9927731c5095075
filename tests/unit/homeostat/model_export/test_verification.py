from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
import pytest

from homeostat.model_export.columns import infer_columns
from homeostat.model_export.source_model import SourceModel
from homeostat.model_export.verification import original_scores, precision_hint
from shared.errors import ExportRefused


def test_columns_that_float32_cannot_tell_apart_are_named() -> None:
    random = np.random.default_rng(1)
    rows = pd.DataFrame({"usual": random.normal(size=100), "tiny": 1 + 1e-5 * random.normal(size=100)})
    columns = infer_columns(rows, ["usual", "tiny"])
    assert "the values of tiny apart" in precision_hint(columns, rows)
    assert precision_hint(columns[:1], rows) == ""


class Fails:
    def score(self, rows: pd.DataFrame) -> None:
        raise ValueError("no")


def test_columns_of_a_wide_table_are_counted() -> None:
    rows = pd.DataFrame(np.zeros((3, 23)), columns=[f"c{number}" for number in range(23)])
    with pytest.raises(ExportRefused) as refused:
        original_scores(cast(SourceModel, Fails()), rows)
    assert refused.value.message == "the original model fails on the rows: ValueError: no"
    assert refused.value.hint.endswith("c18 (float64), c19 (float64) and 3 more")
