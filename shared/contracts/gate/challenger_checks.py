"""The checks of a challenger beside its gain: slices, robustness, calibration and fairness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from shared.contracts.feature import Feature, Section

_GROUPING = ("category", "boolean")


class SliceBound(Section):
    """Limit on the rise of the loss in each slice of `slices`."""

    minimum_rows: int = Field(
        200,
        ge=20,
        description="Minimum number of rows of a slice in the holdout; smaller ones are reported only.",
    )
    maximum_increase: float = Field(
        0.1,
        ge=0,
        description="Maximum increase of the loss in a slice, as a share of the champion's loss there.",
    )
    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Confidence, over all slices together, with which an increase must be above the bound to refuse.",
    )


class Robustness(Section):
    """Both models are scored again on holdout rows with noise, missing values, and categories that training rows lack."""

    noise: float = Field(
        0.1,
        ge=0,
        le=10,
        description="Standard deviation of the noise in numbers, as a share of that of the feature.",
    )
    share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Share of the values that become missing, or a category outside the training rows.",
    )
    maximum_rise: float = Field(
        0.25,
        ge=0,
        description="Maximum rise of the challenger's loss beyond the rise of the champion's, as a share of the champion's loss.",
    )


class Calibration(Section):
    """Limit on the rise of the expected calibration error, for `probability` and `classes`."""

    bins: int = Field(10, ge=2, le=100, description="Number of bins, of equal numbers of rows.")
    maximum_increase: float = Field(
        0.05, ge=0, le=1, description="Maximum increase of the error over the champion's."
    )
    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Confidence with which the increase must be above the bound to refuse a challenger.",
    )


class Fairness(Section):
    """Limit on the difference between groups of rows: those of each value of a feature. Default: not checked."""

    feature: str = Field(description="A category or boolean, whose values are the groups.")
    measure: Literal["loss", "rate"] = Field(
        "loss",
        description="`loss`: the mean loss of a group. `rate`: its share of rows with a score of at least `threshold`, of a "
        "`probability`.",
    )
    threshold: float = Field(0.5, ge=0, le=1, description="Score that counts as positive, for `rate`.")
    maximum_difference: float = Field(
        ge=0,
        description="Maximum difference between two groups. A challenger above it passes if the champion's difference is larger.",
    )
    minimum_rows: int = Field(
        100, ge=20, description="Minimum number of rows of a group; smaller ones are left out."
    )
    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Confidence with which the difference must be above the bound to refuse a challenger.",
    )


def check_fairness(fairness: Fairness, features: Sequence[Feature], kind: str) -> None:
    """Raises ValueError where the groups or the measure do not exist in a model with these features and this kind."""
    feature = next((one for one in features if one.name == fairness.feature), None)
    if feature is None:
        raise ValueError(f"gate.fairness.feature is {fairness.feature}, which is not a feature")
    if feature.type not in _GROUPING:
        raise ValueError(
            f"gate.fairness.feature is {feature.name}, a {feature.type}; expected a {' or a '.join(_GROUPING)}"
        )
    if feature.personal:
        raise ValueError(
            f"gate.fairness.feature is {feature.name}, which is personal: its values would be in results"
        )
    if fairness.measure == "rate" and kind != "probability":
        raise ValueError(
            f"gate.fairness.measure is rate, which a prediction of kind {kind} does not have: use loss"
        )
