from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.replay.outcome_column import check_outcomes, prediction_of
from shared.contracts.prediction import Prediction
from shared.errors import ProjectError

PROBABILITY = Prediction(kind="probability")
VALUE = Prediction(kind="value")
NUMBERS = Prediction(kind="classes", labels=(3, 5))
WORDS = Prediction(kind="classes", labels=("cat", "dog"))
VALUES = Prediction(kind="values", names=("low", "high"))


def written(folder: Path, outcomes: Any) -> Path:
    pq.write_table(pa.table({"y": outcomes}), folder / "history.parquet")
    return folder / "history.parquet"


@pytest.mark.parametrize(
    ("prediction", "outcomes"),
    [
        (PROBABILITY, pa.array([None, 1, 7])),
        (PROBABILITY, pa.array([float("nan"), 0.0], pa.float32())),
        (PROBABILITY, pa.array([None, None], pa.float64())),
        (VALUE, pa.array([12, 13])),
        (NUMBERS, pa.array([5, 9])),
        (NUMBERS, pa.array(["3", "bird"])),
        (WORDS, pa.array(["bird", "dog", None]).dictionary_encode()),
        (VALUES, pa.array([{"low": 1.0, "high": 2.0}])),
    ],
)
def test_column_with_an_outcome_that_fits_is_taken(
    tmp_path: Path, prediction: Prediction, outcomes: Any
) -> None:
    check_outcomes(written(tmp_path, outcomes), "y", prediction, "toy")


@pytest.mark.parametrize(
    ("prediction", "outcomes", "found"),
    [
        (PROBABILITY, pa.array([None, "ok"]), "has 'ok'; the outcomes of toy are 0 or 1"),
        (PROBABILITY, pa.array([2, 3]), "has '2'; the outcomes of toy are 0 or 1"),
        (PROBABILITY, pa.array([True, False]), "has 'True'; "),
        (VALUE, pa.array(["12.5"]), "has '12.5'; the outcomes of toy are a finite number"),
        (WORDS, pa.array([0, 1]), "has '0'; the outcomes of toy are one of cat, dog"),
        (WORDS, pa.array([0.0, 1.0]), "has '0.0'; "),
        (VALUES, pa.array([1.0]), "has '1.0'; "),
        (VALUES, pa.array([{"low": 1.0}]), "for each name"),
    ],
)
def test_column_in_which_nothing_fits_is_refused(
    tmp_path: Path, prediction: Prediction, outcomes: Any, found: str
) -> None:
    with pytest.raises(ProjectError, match=found) as refused:
        check_outcomes(written(tmp_path, outcomes), "y", prediction, "toy")
    assert refused.value.hint


@pytest.mark.parametrize(
    ("answer", "prediction"),
    [
        ({}, None),
        ({"kind": "probability"}, PROBABILITY),
        ({"kind": "classes", "labels": "cat\ndog"}, WORDS),
        ({"kind": "values", "names": "low\nhigh"}, VALUES),
        ({"kind": "embedding"}, Prediction(kind="embedding", size=1)),
        ({"kind": "tensor"}, Prediction(kind="tensor")),
    ],
)
def test_prediction_from_the_description_of_a_server(
    answer: dict[str, str], prediction: Prediction | None
) -> None:
    assert prediction_of(answer) == prediction
