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
    rows = pd.DataFrame({"image": [[1.0], [2.0]], "age": [1, 2], "town": ["a", "b"]})
    names = [probe.name for probe in make_probes(infer_columns(rows, list(rows.columns)), rows)]
    assert names == ["values beyond the range", "unseen categories"]


def test_values_that_the_rows_lack() -> None:
    rows = pd.DataFrame(
        {
            "age": [20, 21, 24, 30],
            "shop": pd.Categorical(["a", "b", "a", "b"], ["a", "b", "c"]),
            "day": pd.Categorical([1, 1, 3, 3], [1, 2, 3]),
            "card": [True, True, True, True],
            "paper": pd.array([True, False, None, True], "boolean"),
        }
    )
    probes = {probe.name: probe for probe in make_probes(infer_columns(rows, list(rows.columns)), rows)}
    lacking = probes["values that the rows lack"]
    found = {name: lacking.of([name]).rows[name] for name in lacking.columns}
    assert {name: set(values.dropna()) for name, values in found.items()} == {
        "age": {22, 27},
        "shop": {"c"},
        "day": {2},
        "card": {False},
        "paper": {True, False},
    }
    assert found["paper"].dropna().tolist() == [False, True, False]
    assert all(len(values) >= 2 for values in found.values())


def test_at_most_forty_rows_are_of_numbers_that_a_column_lacks() -> None:
    rows = pd.DataFrame({"age": [*range(0, 300, 3), *range(300, 600, 5)]})
    lacking = {probe.name: probe for probe in make_probes(infer_columns(rows, ["age"]), rows)}[
        "values that the rows lack"
    ]
    assert 30 <= len(lacking.rows) <= 40
    assert lacking.rows["age"].min() < 10
    assert lacking.rows["age"].max() > 590
    assert not set(lacking.rows["age"]) & set(rows["age"])


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
