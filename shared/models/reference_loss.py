"""Which rows of a reference its loss is measured on. Drift compares windows with it, and a deployment warns with it. Pure."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from shared.models.losses import Floats

LossRows = Literal["held out", "all"]


def reference_losses(
    losses: Floats, event_times: npt.NDArray[np.int64], trained_until: int | None, minimum_rows: int
) -> tuple[Floats, LossRows]:
    """The losses (NaN: none) that the reference's loss is the mean of, and what rows they are from.

    Rows after `trained_until` (µs, as `event_times`; None: not known) are held out of the training. If fewer than
    `minimum_rows` of them have a loss, all rows count: a model fits the rows it was trained on, so that loss is lower than it
    can be in service.

    >>> losses, times = np.array([0.1, 0.2, 0.5, 0.6]), np.array([1, 2, 3, 4])
    >>> reference_losses(losses, times, 2, minimum_rows=2)
    (array([0.5, 0.6]), 'held out')
    >>> reference_losses(losses, times, 2, minimum_rows=3)
    (array([0.1, 0.2, 0.5, 0.6]), 'all')
    """
    if trained_until is not None:
        held_out = losses[event_times > trained_until]
        if np.count_nonzero(np.isfinite(held_out)) >= minimum_rows:
            return held_out, "held out"
    return losses, "all"
