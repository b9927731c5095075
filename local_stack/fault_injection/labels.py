"""The outcomes (labels) of injected rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.prediction import Prediction
from shared.models.answers import label_of
from shared.models.losses import Scores

Floats = npt.NDArray[np.float64]

# own: the outcomes of the reference rows. expected: outcomes drawn from the model's scores, so that the loss stays the same
# although the rows drifted. reversed: the opposite of the own outcomes, so that the loss rises (concept drift); of classes the
# label after the own one.
LabelSource = Literal["own", "expected", "reversed"]


def outcomes(
    source: LabelSource,
    loop: LoopSpec,
    own: Floats,
    scored: Scores,
    answered: Floats,
    random: np.random.Generator,
) -> Floats:
    """One outcome per row, or a row of outcomes, one for each name; NaN for a row without an outcome.

    `own` and `scored`: outcomes and scores of the reference rows; `answered`: scores of the responses. All have one shape.
    """
    if source == "own":
        return own
    probability = loop.prediction.kind == "probability"
    if source == "expected":
        if probability:
            return np.where(
                np.isfinite(answered), (random.random(answered.size) < answered).astype(float), np.nan
            )
        return answered + (own - scored)
    if probability:
        return 1.0 - own
    spread = np.nanstd(own, axis=0)
    return own + 3.0 * np.where(spread == 0, 1.0, spread)


def label_outcomes(
    source: LabelSource,
    prediction: Prediction,
    own: Sequence[int | str | None],
    answered: Sequence[Mapping[str, float] | None],
    random: np.random.Generator,
) -> list[int | str | None]:
    """One label per row of a model with classes; None for a row without an outcome.

    `own`: outcomes of the reference rows; `answered`: probabilities by label of the responses.
    """
    if source == "own":
        return list(own)
    labels = prediction.labels
    if source == "reversed":
        following = dict(zip(labels, (*labels[1:], labels[0]), strict=True))
        return [None if label is None else following[label] for label in own]
    return [None if scores is None else _drawn(prediction, scores, random) for scores in answered]


def _drawn(prediction: Prediction, scores: Mapping[str, float], random: np.random.Generator) -> int | str:
    weights = np.fromiter(scores.values(), np.float64)
    return label_of(prediction, str(random.choice(list(scores), p=weights / weights.sum())))
