"""Verdicts of drift with the slices that were found."""

from __future__ import annotations

from collections.abc import Iterator

from services.drift.evaluation.columns import Rows
from services.drift.evaluation.reference_profile import Reference
from services.drift.slice_search.search import find_slice_of_loss, find_slice_of_rows
from shared.contracts.verdict import FoundSlice, Verdict
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)


def with_found_slices(verdict: Verdict, rows: Rows, reference: Reference) -> Verdict:
    """The verdict with the part of the rows that its drift comes from, also in its explanation; as it is where there is none.

    `rows`: of the window, with features.
    """
    try:
        found = tuple(_found(verdict, rows, reference))
    except Exception as error:  # an explanation is extra: the verdict holds without it
        log_unknown_error(_log, error)
        return verdict
    if not found:
        return verdict
    explanation = " ".join((verdict.explanation, *(_sentence(one) for one in found)))
    return verdict.model_copy(update={"found_slices": found, "explanation": explanation})


def _found(verdict: Verdict, rows: Rows, reference: Reference) -> Iterator[FoundSlice]:
    if "performance" in verdict.drifted:
        of_loss = find_slice_of_loss(rows, reference)
        if of_loss is not None:
            yield of_loss
    if "feature" in verdict.drifted or "prediction" in verdict.drifted:
        of_rows = find_slice_of_rows(rows, reference)
        if of_rows is not None:
            yield of_rows


def _sentence(one: FoundSlice) -> str:
    if one.share_of_change is None:
        return f"Rows with {one.where} are {one.share:.0%} of the window, and {one.reference_share:.0%} of the reference."
    return (
        f"{one.share_of_change:.0%} of the rise is in the {one.share:.0%} of the rows with {one.where}: their loss is "
        f"{one.value:.4g}, and {one.reference:.4g} in the reference."
    )
