from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    StandardScaler,
)

from homeostat.model_export.columns import infer_columns
from homeostat.model_export.pipelines.columnwise import through_steps
from homeostat.model_export.pipelines.preparation import NotColumnwise
from homeostat.model_export.trees.ensemble import CategoryTable, Ensemble, Node

ROWS = pd.DataFrame(
    {
        "amount": [10.0, 20.0, None, 40.0] * 30,
        "shop": ["web", "mall", "web", "corner"] * 30,
        "day": [3, 4, 5, 4] * 30,
    }
)
FIRST, SECOND = Node(value=1), Node(value=2)


def rewritten(steps: Any, node: Node, **options: Any) -> tuple[Node, dict[int, CategoryTable]]:
    columns = infer_columns(ROWS, list(ROWS.columns))
    ensemble = Ensemble(((node, FIRST, SECOND),), **options)
    raw = through_steps(steps.fit(ROWS), ensemble, columns, ROWS).ensemble
    return raw.trees[0][0], raw.tables()


def split(column: int, threshold: float) -> Node:
    return Node(column=column, threshold=threshold, left=1, right=2)


def test_threshold_of_a_scaled_number_is_one_of_the_raw_number() -> None:
    steps = ColumnTransformer([("n", make_pipeline(SimpleImputer(), StandardScaler()), ["amount"])])
    # The mean is 70 / 3, where the scaled number is 0; a missing value counts as the mean.
    node, _ = rewritten(steps, split(0, 0.0))
    assert node.column == 0
    assert node.threshold == pytest.approx(70 / 3, abs=1e-12)
    assert node.missing_left
    assert not rewritten(steps, split(0, -0.1))[0].missing_left


@pytest.mark.parametrize("gaps_are_missing", [False, True])
def test_numbers_that_a_step_refuses_are_beyond_the_range(gaps_are_missing: bool) -> None:
    """Box-Cox refuses numbers that are not positive; a threshold may be below those of the rows."""
    steps = ColumnTransformer([("n", PowerTransformer("box-cox", standardize=False), ["day"])])
    [power] = steps.fit(ROWS).named_transformers_["n"].lambdas_
    node, _ = rewritten(steps, split(0, (0.5**power - 1) / power), gaps_are_missing=gaps_are_missing)
    assert (node.column, node.left) == (2, 1)
    assert node.threshold == pytest.approx(0.5)


def test_falling_number_swaps_the_sides() -> None:
    steps = ColumnTransformer([("n", FunctionTransformer(np.negative), ["day"])])
    node, _ = rewritten(steps, split(0, -4.5))
    assert (node.column, node.left, node.right) == (2, 2, 1)
    assert node.threshold == pytest.approx(4.5)


def test_encoded_texts_become_a_table() -> None:
    steps = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["shop"])])
    # Encoded are corner, mall, web; a split at 0.5 sends one of them to the right, everything else to the left.
    node, tables = rewritten(steps, split(1, 0.5))
    assert tables == {1: CategoryTable(("corner", "mall", "web"))}
    assert (node.column, node.left_positions) == (1, frozenset({0, 2, 3, 4}))


def test_encoded_whole_numbers_become_a_table() -> None:
    steps = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["day"])])
    node, tables = rewritten(steps, split(1, 0.5))
    assert tables == {2: CategoryTable((3, 4, 5))}
    assert (node.column, node.left_positions) == (2, frozenset({0, 2, 3, 4}))


def through(function: Any, node: Node, rows: pd.DataFrame) -> Ensemble:
    """The trees of one split after a function of the frame."""
    steps = make_pipeline(FunctionTransformer(function)).fit(rows)
    return through_steps(
        steps, Ensemble(((node, FIRST, SECOND),)), infer_columns(rows, list(rows.columns)), rows
    ).ensemble


def middle(rows: pd.DataFrame) -> Any:
    return rows["age"].between(30, 40).to_frame().astype(float)


def test_whole_numbers_that_the_rows_lack_are_in_the_table() -> None:
    """The rows have only multiples of 20: no function of these shows the numbers between them."""
    raw = through(middle, split(0, 0.5), pd.DataFrame({"age": [0, 20, 60, 80] * 50}))
    table, left = raw.tables()[0], raw.trees[0][0].left_positions or frozenset()
    right = [key for place, key in enumerate(table.keys) if place not in left]
    assert sorted(map(str, right)) == sorted(map(str, range(30, 41)))
    assert left >= {table.unseen, table.missing}


def test_number_that_falls_only_where_the_rows_have_none_is_tabulated() -> None:
    rows = pd.DataFrame({"age": [0, 20, 60, 80] * 50})
    raw = through(lambda given: given + 100.0 * (given == 33), split(0, 90.0), rows)
    table, left = raw.tables()[0], raw.trees[0][0].left_positions or frozenset()
    right = [key for place, key in enumerate(table.keys) if place not in left]
    assert sorted(map(str, right)) == sorted(map(str, [33, *range(91, 161)]))


def test_too_many_whole_numbers_for_a_table_are_not_rewritten() -> None:
    rows = pd.DataFrame({"age": [0, 20, 35, 80, 5000]})
    with pytest.raises(NotColumnwise, match="too many values for a table"):
        through(middle, split(0, 0.5), rows)
    encoder = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["age"])]).fit(rows)
    columns = infer_columns(rows, ["age"])
    raw = through_steps(encoder, Ensemble(((split(1, 0.5), FIRST, SECOND),)), columns, rows).ensemble
    # All numbers but those of the fit are alike to an encoder.
    assert raw.tables() == {0: CategoryTable((0, 20, 35, 80, 5000))}


def test_boolean_that_is_the_same_in_all_rows() -> None:
    rows = pd.DataFrame({"card": [True] * 4, "paid": [1.0, 2.0, 3.0, 4.0]})
    raw = through(lambda given: given.astype(float), split(0, 0.5), rows)
    assert raw.trees[0][0].left_positions == frozenset({0, 2})
    with pytest.raises(NotColumnwise, match="depends on several raw columns"):
        through(
            lambda given: given[["paid"]].where(given["card"], -given["paid"], axis=0), split(0, 2.5), rows
        )


def test_category_that_the_rows_lack_mixes_columns() -> None:
    shops = pd.Categorical(["web"] * 4, ["web", "mall"])
    rows = pd.DataFrame({"shop": shops, "paid": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(NotColumnwise, match="depends on several raw columns"):
        through(
            lambda given: given[["paid"]].where(given["shop"] == "web", -given["paid"], axis=0),
            split(0, 2.5),
            rows,
        )


def test_number_that_is_the_same_in_all_rows() -> None:
    rows = pd.DataFrame({"paid": [3.0] * 4, "age": [1.0, 2.0, 3.0, 4.0]})
    raw = through(lambda given: given + 1.0, split(0, 5.0), rows)
    assert raw.trees[0][0].column == 0
    assert raw.trees[0][0].threshold == pytest.approx(4.0)


def test_categories_of_the_fit_are_known_without_a_row() -> None:
    steps = ColumnTransformer([("c", OrdinalEncoder(), ["shop"])]).fit(ROWS)
    few = ROWS[ROWS["shop"] != "mall"].reset_index(drop=True)
    raw = through_steps(
        steps, Ensemble(((split(0, 0.5), FIRST, SECOND),)), infer_columns(few, list(few.columns)), few
    ).ensemble
    assert raw.tables() == {1: CategoryTable(("corner", "web", "mall"))}
    assert raw.trees[0][0].left_positions == frozenset({0})


def test_split_by_category_after_an_encoder() -> None:
    steps = ColumnTransformer([("c", OrdinalEncoder(), ["shop"])])
    node = Node(column=0, left_positions=frozenset({0, 2}), left=1, right=2)
    found, _ = rewritten(steps, node, categories={0: CategoryTable((0, 1, 2))})
    assert found.left_positions == frozenset({0, 2})


def test_gaps_of_a_sparse_matrix_may_be_missing() -> None:
    steps = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["shop"])], sparse_threshold=1.0)
    node = split(1, 0.5)
    assert rewritten(steps, node, gaps_are_missing=True)[0].left_positions == frozenset()
    assert rewritten(steps, node)[0].left_positions == frozenset({0, 2, 3, 4})


def test_columns_that_mix_are_not_rewritten() -> None:
    steps = ColumnTransformer([("n", make_pipeline(SimpleImputer(), PCA(2)), ["amount", "day"])])
    with pytest.raises(NotColumnwise, match="depends on several raw columns"):
        rewritten(steps, split(0, 0.0))


def test_column_that_no_split_uses_is_ignored() -> None:
    """A shallow tree often leaves encoded columns unused."""
    rows = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0], "paid": [1.0, 2.0, 3.0, 4.0]})
    steps = make_pipeline(StandardScaler()).fit(rows)
    columns = infer_columns(rows, ["age", "paid"])
    stump = (Node(column=1, threshold=0.0, left=1, right=2), Node(value=1.0), Node(value=2.0))
    raw = through_steps(steps, Ensemble((stump,)), columns, rows).ensemble
    assert (raw.trees[0][0].column, round(raw.trees[0][0].threshold, 6)) == (1, 2.5)


def test_zero_of_a_sparse_matrix_is_a_missing_number() -> None:
    rows = ROWS.assign(day=[0, 4, 5, 4] * 30)
    steps = ColumnTransformer(
        [("c", OneHotEncoder(), ["shop"]), ("n", "passthrough", ["day"])], sparse_threshold=1.0
    ).fit(rows)
    ensemble = Ensemble(((split(3, 4.5), FIRST, SECOND),), gaps_are_missing=True, strict=True)
    raw = through_steps(steps, ensemble, infer_columns(rows, list(rows.columns)), rows).ensemble
    assert (raw.missing_number, raw.missing_in) == (0.0, frozenset({2}))
    assert raw.trees[0][0].column == 2
    assert not raw.trees[0][0].missing_left


def test_indicator_that_a_sparse_matrix_stores_for_missing_numbers_only() -> None:
    steps = ColumnTransformer(
        [("c", OneHotEncoder(), ["shop"]), ("n", SimpleImputer(add_indicator=True), ["amount"])],
        sparse_threshold=1.0,
    )
    indicator = replace(split(4, 0.5), missing_left=True)
    node, _ = rewritten(steps, indicator, gaps_are_missing=True, strict=True)
    # Of a number it is not stored, and so missing, which goes left; of a missing number it is 1, which goes right.
    assert (node.column, node.threshold, node.missing_left) == (0, np.inf, False)


def test_zero_and_a_missing_number_that_part_are_not_rewritten() -> None:
    rows = ROWS.assign(amount=[0.0, 20.0, np.nan, 40.0] * 30)
    steps = ColumnTransformer(
        [("c", OneHotEncoder(), ["shop"]), ("n", SimpleImputer(), ["amount"])], sparse_threshold=1.0
    ).fit(rows)
    ensemble = Ensemble(((split(3, 30.0), FIRST, SECOND),), gaps_are_missing=True, strict=True)
    with pytest.raises(NotColumnwise, match="missing in different ways"):
        through_steps(steps, ensemble, infer_columns(rows, list(rows.columns)), rows)
