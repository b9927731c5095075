from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from homeostat.model_export.columns import infer_columns
from homeostat.model_export.trees.ensemble import CategoryTable, Ensemble, Link, Node
from homeostat.model_export.trees.tree_model import ensemble_conversions

SHOPS = CategoryTable(("corner", "web"))
DAYS = CategoryTable((1, 5))
# amount <= 2.5, or missing: then the shop is web or unseen: 10, else 20. Larger: on day 5 or missing 30, else 40.
TREE = (
    Node(column=0, threshold=2.5, missing_left=True, left=1, right=4),
    Node(column=1, left_positions=frozenset({1, 2}), left=2, right=3),
    Node(value=10),
    Node(value=20),
    Node(column=2, left_positions=frozenset({1, 3}), left=5, right=6),
    Node(value=30),
    Node(value=40),
)
ENSEMBLE = Ensemble((TREE,), base=0.5, categories={1: SHOPS, 2: DAYS})
ROWS = pd.DataFrame(
    {"amount": [1.0, None], "shop": pd.Categorical(["web", "corner"]), "day": pd.Categorical([1, 5])}
)


def scores(ensemble: Ensemble, amount: list[float], shop: list[str], day: list[int]) -> list[float]:
    [model] = ensemble_conversions(ensemble, infer_columns(ROWS, list(ROWS.columns)), ROWS)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds: dict[str, Any] = {
        "amount": np.array(amount, dtype=np.float32).reshape(-1, 1),
        "shop": np.array(shop, dtype=object).reshape(-1, 1),
        "day": np.array(day, dtype=np.int64).reshape(-1, 1),
    }
    found: list[float] = np.asarray(session.run(["score"], feeds)[0]).tolist()
    return found


def test_numbers_and_categories_take_their_sides() -> None:
    amount = [2.5, 2.5, 2.5, 2.5, float("nan"), 2.6, 2.6, 2.6]
    shop = ["web", "corner", "kiosk", "", "web", "web", "web", "web"]
    day = [1, 1, 1, 1, 1, 5, 1, 9]
    assert scores(ENSEMBLE, amount, shop, day) == [10.5, 20.5, 10.5, 20.5, 10.5, 30.5, 40.5, 40.5]


def test_strict_ensembles_compare_by_less_than() -> None:
    strict = replace(ENSEMBLE, strict=True)
    assert scores(strict, [2.5, 2.4, float("nan")], ["web"] * 3, [1] * 3) == [40.5, 10.5, 10.5]


@pytest.mark.parametrize(
    ("link", "scale", "expected"),
    [
        ("sigmoid", 1.0, 1 / (1 + np.exp(2.0))),
        ("sigmoid", 0.5, 1 / (1 + np.exp(1.0))),
        ("exp", 1.0, np.exp(-2.0)),
        ("signed_square", 1.0, -4.0),
        ("identity", 1.0, -2.0),
    ],
)
def test_link_follows_the_sum(link: Link, scale: float, expected: float) -> None:
    ensemble = Ensemble(((Node(value=-3),), (Node(value=0.5),)), base=0.5, link=link, scale=scale)
    assert scores(ensemble, [1.0], ["web"], [1]) == [pytest.approx(expected, rel=1e-6)]


def test_ensemble_without_trees_is_its_base() -> None:
    assert scores(Ensemble((), base=7.0), [1.0], ["web"], [1]) == [7.0]
