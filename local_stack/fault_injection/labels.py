"""The outcomes (labels) of injected rows. Pure."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from shared.contracts.loop_spec import LoopSpec

Floats = npt.NDArray[np.float64]

# own: the outcomes of the reference rows. expected: outcomes drawn from the model's scores, so that the loss stays the same
# although the rows drifted. reversed: the opposite of the own outcomes, so that the loss rises (concept drift).
LabelSource = Literal["own", "expected", "reversed"]


def outcomes(
    source: LabelSource,
    loop: LoopSpec,
    own: Floats,
    scored: Floats,
    answered: Floats,
    random: np.random.Generator,
) -> Floats:
    """One outcome per row; NaN for a row without an outcome.

    `own` and `scored`: outcomes and scores of the reference rows; `answered`: scores of the responses.
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
    spread = float(np.nanstd(own)) or 1.0
    return own + 3.0 * spread
