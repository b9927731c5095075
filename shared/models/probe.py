"""The probe: a model's behaviour on a sample of rows. Deployment, the gate and the server make it before they use a model.

The server answers rows alone and in batches of any size, so the output for a row may depend on nothing but that row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.contracts.feature import Feature
from shared.contracts.prediction import Prediction
from shared.errors import UnservableModel
from shared.models.answer_checks import check_probabilities, check_probability

Array = npt.NDArray[Any]
Run = Callable[[pa.Table], Array]

SAMPLE: Final = 32
_SMALL_BATCH = 5
# Sums of float32 in another order differ by less on a CPU, absolute and relative.
TOLERANCE: Final = 1e-4
UNKNOWN: Final = "homeostat_unknown"


def probe(
    run: Run,
    features: Sequence[Feature],
    prediction: Prediction,
    rows: pa.Table,
    *,
    tolerance: float = TOLERANCE,
) -> None:
    """Probe a model on rows spread over `rows`. Raises UnservableModel.

    `run` returns one finite score or tensor per row, and raises UnservableModel where it cannot. `tolerance`: how much equal
    outputs may differ; a GPU chooses its algorithms by the size of the batch.

    1. the sample gives the same output twice   2. so do its rows in small batches, and each row alone
    3. missing values, where a feature may have them, give a finite output
    4. so does each category that loop.yaml lists, and an unknown one where they are served
    5. a probability lies in [0, 1]; the probabilities of classes sum to 1
    """
    if rows.num_rows == 0:
        return
    indices = _spread(rows.num_rows)
    sample = rows.take(indices)
    whole = run(sample)
    if not _is_same(run(sample), whole, tolerance):
        raise UnservableModel(
            "the model gives different scores for the same rows",
            hint="export it in evaluation mode: switch dropout and sampling off",
        )
    for size in (_SMALL_BATCH, 1):
        for start in range(0, len(indices), size):
            wanted = whole[start : start + size]
            if not _is_same(run(sample.slice(start, size)), wanted, tolerance):
                raise UnservableModel(
                    f"the model's score of row {indices[start]} depends on other rows in the batch",
                    hint="normalise with constants from training, and switch dropout and sampling off",
                )
    for feature in features:
        if feature.nullable:
            place = sample.schema.get_field_index(feature.name)
            missing = pa.nulls(sample.num_rows, sample.schema.field(place).type)
            run(sample.set_column(place, feature.name, missing))
        if feature.type == "category":
            _try_categories(run, feature, sample)
    if prediction.kind == "classes":
        check_probabilities(whole)
    if prediction.kind == "probability":
        check_probability(whole)


def spread(rows: int, count: int) -> npt.NDArray[np.int64]:
    """Indices of at most `count` rows, spread over all of them."""
    return np.linspace(0, rows - 1, min(count, rows)).astype(np.int64)


def _spread(rows: int) -> npt.NDArray[np.int64]:
    """Places of the sample: spread over the rows, and repeated where there are fewer than make two small batches."""
    indices = spread(rows, SAMPLE)
    return np.resize(indices, max(len(indices), _SMALL_BATCH + 1))


def _try_categories(run: Run, feature: Feature, sample: pa.Table) -> None:
    """Raises UnservableModel that names a category on which the model fails."""
    known = [*feature.values, *([UNKNOWN] if feature.takes_any_text else [])]
    for start in range(0, len(known), sample.num_rows):
        values = known[start : start + sample.num_rows]
        try:
            run(_with_categories(sample, feature, values))
        except UnservableModel:
            for value in values:
                _try_category(run, feature, sample, value)
            raise


def _try_category(run: Run, feature: Feature, sample: pa.Table, value: str) -> None:
    try:
        run(_with_categories(sample, feature, [value]))
    except UnservableModel as error:
        is_unknown = value == UNKNOWN and value not in feature.values
        which = "an unknown value" if is_unknown else f"the value {value!r}"
        raise UnservableModel(
            f"the model fails on {which} of {feature.name}: {error.message}",
            hint=f"set `unknown: refuse` for {feature.name} in loop.yaml, or fit an encoder that takes unknown values"
            if is_unknown
            else f"remove {value!r} from the values of {feature.name} in loop.yaml, or fit an encoder that includes it",
        ) from error


def _with_categories(sample: pa.Table, feature: Feature, values: Sequence[str]) -> pa.Table:
    """As many of the rows as there are values, each with one of them."""
    place = sample.schema.get_field_index(feature.name)
    return sample.slice(0, len(values)).set_column(place, feature.name, pa.array(values, pa.string()))


def _is_same(output: Array, wanted: Array, tolerance: float) -> bool:
    return output.shape == wanted.shape and np.allclose(output, wanted, rtol=tolerance, atol=tolerance)
