from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from homeostat.model_export.prediction_kind import VALUE, check_outcomes, kind_of_scores, of_classes
from shared.errors import ExportRefused


def test_the_second_class_is_the_positive_one() -> None:
    kind = of_classes([np.int64(1), np.int64(2)])
    assert (kind.name, kind.metric, kind.positive) == ("probability", "log_loss", 2)
    assert kind.outcomes(pd.Series([1, 2, 2])).tolist() == [0, 1, 1]


def test_outcomes_of_texts_become_numbers_and_stay_missing() -> None:
    kind = of_classes(["bad", "good"], positive="bad")
    np.testing.assert_array_equal(kind.outcomes(pd.Series(["bad", "good", None])), [1, 0, np.nan])


def test_three_classes_are_labels_in_the_models_order() -> None:
    kind = of_classes(["cat", "dog", "bird"])
    assert (kind.name, kind.metric, kind.labels) == ("classes", "log_loss", ("cat", "dog", "bird"))
    places = kind.outcomes(pd.Series(["dog", None, "cat"]))
    np.testing.assert_array_equal(places, [1, np.nan, 0])
    assert kind.outcome_column(places).to_pylist() == ["dog", None, "cat"]


def test_classes_of_whole_numbers_keep_their_type() -> None:
    kind = of_classes([np.float64(3), np.float64(5), np.float64(7)])
    assert kind.labels == (3, 5, 7)
    column = kind.outcome_column(kind.outcomes(pd.Series([7.0, 3.0])))
    assert (column.type, column.to_pylist()) == (pa.int64(), [7, 3])


def test_classes_of_other_kinds_are_refused() -> None:
    with pytest.raises(ExportRefused, match="neither all texts nor all whole numbers"):
        of_classes([0.5, 1.5, 2.5])
    with pytest.raises(ExportRefused, match="one class"):
        of_classes([1])
    with pytest.raises(ExportRefused, match="positive=2 is for two classes"):
        of_classes([1, 2, 3], positive=2)


def test_a_positive_class_must_be_a_class() -> None:
    with pytest.raises(ExportRefused, match="'worse' is not a class.*'bad' and 'good'"):
        of_classes(["bad", "good"], positive="worse")
    assert of_classes(["0", "1"], positive=0).positive == "0"


def test_an_outcome_outside_the_classes_is_refused() -> None:
    with pytest.raises(ExportRefused, match=r"value 1\b.*'bad', 'good'"):
        check_outcomes(of_classes(["bad", "good"]), ["bad", "good"], pd.Series([1, 0], name="outcome"))


def test_a_regression_needs_numbers_as_outcomes() -> None:
    np.testing.assert_array_equal(VALUE.outcomes(pd.Series([1, 2.5, None])), [1, 2.5, np.nan])
    with pytest.raises(ExportRefused, match="'delay' holds values that are not numbers"):
        VALUE.outcomes(pd.Series(["late"], name="delay"))


def test_two_texts_as_outcomes_of_a_probability_are_refused_with_the_line_that_converts_them() -> None:
    outcomes = pd.Series(["yes", "no", None], name="paid")
    with pytest.raises(
        ExportRefused, match="the outcomes are 'no' and 'yes', and the model returns one score"
    ) as refused:
        kind_of_scores(np.array([0.1, 0.9, 0.5]), outcomes)
    line = 'rows["paid"] = rows["paid"].eq(\'yes\').astype(int)'
    assert refused.value.hint.endswith(line)
    rows = pd.DataFrame({"paid": outcomes.dropna()})
    exec(line, {"rows": rows})
    assert kind_of_scores(np.array([0.1, 0.9]), rows["paid"]).name == "probability"
