from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import homeostat
from shared.contracts.loop_yaml import read_loop_spec

CODES = {"a": 0.0, "b": 1.0, "c": 2.0, "e": 9.0}


@pytest.mark.parametrize("within", [False, True])
def test_texts_that_a_function_may_know_are_refused_with_a_warning(tmp_path: Path, within: bool) -> None:
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"shop": random.choice(list("abce"), 600), "x": random.normal(size=600)})
    rows["outcome"] = (rows["shop"] == "e").astype(int)
    rows["event_time"] = pd.date_range("2026-01-01", periods=600, freq="h", tz="UTC")
    step = FunctionTransformer(
        lambda given: np.column_stack([given["shop"].map(CODES).fillna(-1), given["x"]])
    )
    model = make_pipeline(step, HistGradientBoostingClassifier(max_iter=5))
    if within:
        model = VotingClassifier([("only", model)], voting="soft")
    model.fit(rows[["shop", "x"]], rows["outcome"])
    few = rows[rows["shop"] != "e"].reset_index(drop=True)
    with pytest.warns(
        homeostat.ExportWarning, match="a function transforms the texts of the column 'shop'.*every text"
    ):
        homeostat.export(model, few, tmp_path / "few")
    shop = read_loop_spec(tmp_path / "few").features[0]
    assert (shop.unknown, shop.values) == ("refuse", ("a", "b", "c"))
