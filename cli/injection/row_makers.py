"""The rows of each scenario, made from the reference of the served version."""

from __future__ import annotations

from collections.abc import Callable

from local_stack.fault_injection.drifted_rows import choose_feature, drifted_rows, sample_rows
from local_stack.fault_injection.faulty_rows import choose_faults, faulty_rows
from local_stack.fault_injection.scenario import MakeRows
from local_stack.fault_injection.target import Target
from shared.contracts.feature import Feature
from shared.errors import CallerError, NotFound

Note = Callable[[str], None]


def normal(target: Target, note: Note) -> MakeRows:
    """Rows of the reference."""
    return lambda count, random: sample_rows(target.reference, count, random)


def normal_with_outcomes(target: Target, note: Note) -> MakeRows:
    """Rows of the reference. Raises `CallerError` if the model is not evaluated by outcomes."""
    if not target.loop.prediction.has_loss:
        raise CallerError(
            f"the prediction of {target.model} is of kind {target.loop.prediction.kind}, which has no outcomes",
            hint="run `homeostat inject drift`",
        )
    return normal(target, note)


def drifted(target: Target, note: Note, feature: str, shift: float | None) -> MakeRows:
    """Rows with one feature shifted, by default the one with the highest weight."""
    chosen = (
        find_feature(target, feature) if feature else choose_feature(target.loop.features, target.weights)
    )
    note(f"shifting {chosen.name}")
    return lambda count, random: drifted_rows(target.reference, chosen, count, random, shift)


def faulty(target: Target, note: Note, feature: str, kind: str) -> MakeRows:
    """Rows with faulty values in one feature, or in every feature that allows it."""
    if feature:
        find_feature(target, feature)
    faults = choose_faults(target.loop.features, feature, kind)
    note("injecting faults: " + ", ".join(f"{name} ({fault})" for name, fault in faults.items()))
    return lambda count, random: faulty_rows(
        sample_rows(target.reference, count, random), target.loop.features, faults, random
    )


def find_feature(target: Target, name: str) -> Feature:
    """A feature of the model. Raises `NotFound` that lists the features."""
    try:
        return target.loop.feature(name)
    except KeyError as error:
        known = ", ".join(feature.name for feature in target.loop.features)
        raise NotFound(f"{target.model} has no feature {name}", hint=f"known features: {known}") from error
