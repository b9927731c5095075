from __future__ import annotations

import numpy as np
import pandas as pd

from homeostat.model_export.columns import infer_columns
from homeostat.model_export.verification import precision_hint


def test_columns_that_float32_cannot_tell_apart_are_named() -> None:
    random = np.random.default_rng(1)
    rows = pd.DataFrame({"usual": random.normal(size=100), "tiny": 1 + 1e-5 * random.normal(size=100)})
    columns = infer_columns(rows, ["usual", "tiny"])
    assert "the values of tiny apart" in precision_hint(columns, rows)
    assert precision_hint(columns[:1], rows) == ""
