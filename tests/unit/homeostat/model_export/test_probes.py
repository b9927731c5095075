from __future__ import annotations

import numpy as np
import pandas as pd

from homeostat.model_export.columns import infer_columns
from homeostat.model_export.probes import UNSEEN, make_probes

ROWS = pd.DataFrame(
    {
        "amount": [1.0, 3.0, np.nan],
        "age": np.array([1, 3, 2], dtype=np.int8),
        "shop": pd.Categorical(["a", "b", "a"]),
        "card": [True, False, True],
    }
)


def test_each_column_is_changed_alone() -> None:
    probes = {probe.name: probe for probe in make_probes(infer_columns(ROWS, list(ROWS.columns)), ROWS)}
    beyond = probes["values beyond the range"]
    assert sorted(set(beyond.rows.amount[np.array(beyond.changed) == "amount"])) == [-1999, -1, 5, 2003]
    # int8 could not hold them.
    assert sorted(set(beyond.rows.age[np.array(beyond.changed) == "age"])) == [-1999, -1, 5, 2003]
    assert set(beyond.changed) == {"amount", "age"}
    assert set(probes["unseen categories"].rows["shop"]) == {UNSEEN}
    assert probes["missing values"].rows["amount"].isna().all()
    assert set(probes["missing values"].changed) == {"amount"}


def test_no_probe_is_made_without_a_column_for_it() -> None:
    assert [probe.name for probe in make_probes(infer_columns(ROWS, ["card"]), ROWS)] == []


def test_columns_keep_their_dtype() -> None:
    rows = ROWS.assign(size=pd.Categorical(["S", "L", "S"]))
    [unseen] = make_probes(infer_columns(rows, ["shop", "size"]), rows)
    assert list(unseen.rows["shop"].cat.categories) == ["a", "b", UNSEEN]
    assert list(unseen.rows["size"].cat.categories) == ["L", "S", UNSEEN]


def test_tensors_are_compared_empty_large_negative_and_turned() -> None:
    rows = pd.DataFrame({"image": [[1.0, 2.0], [3.0, 5.0]]})
    [probe] = make_probes(infer_columns(rows, ["image"]), rows)
    assert [value.tolist() for value in probe.rows["image"]] == [
        *[[0, 0], [0, 0]],
        *[[11, 21], [31, 51]],
        *[[-1, -2], [-3, -5]],
        *[[2, 1], [5, 3]],
    ]
