"""What turns out to be true about injected rows. Pure."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from shared.contracts.loop_spec import LoopSpec

Floats = npt.NDArray[np.float64]

# own: the rows' own outcomes. expected: what the model expects comes true, so that performance stays as it was although the rows
# drifted. reversed: the relation has changed, the model no longer knows.
Truth = Literal["own", "expected", "reversed"]


def outcomes(
    truth: Truth, loop: LoopSpec, own: Floats, scored: Floats, answered: Floats, random: np.random.Generator
) -> Floats:
    """One outcome per row; NaN where nothing will be known.

    `own` and `scored`: the reference rows' outcomes and scores; `answered`: the scores of the answers just given.
    """
    if truth == "own":
        return own
    probability = loop.prediction.kind == "probability"
    if truth == "expected":
        if probability:
            return np.where(
                np.isfinite(answered), (random.random(answered.size) < answered).astype(float), np.nan
            )
        return answered + (own - scored)
    if probability:
        return 1.0 - own
    spread = float(np.nanstd(own)) or 1.0
    return own + 3.0 * spread
