"""Rows that windows, the holdout, training and the reference would have, against the minimum that each needs. Pure."""

from __future__ import annotations

from datetime import timedelta

from cli.deployment.review.deployed_rows import DeployedRows
from cli.deployment.review.intervals import Times, interval_rows, sufficient_length
from cli.deployment.review.warning import LoopWarning
from shared.contracts.duration import duration_text
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.retraining_spec import Gate, LastRows, Retraining


def row_count_warnings(loop: LoopSpec, rows: DeployedRows) -> list[LoopWarning]:
    """Warnings about numbers of rows, if live traffic has the rate of these rows.

    The gate and the training count only if runs can start: `observe` starts none.
    """
    times, answered = rows.times(), rows.times(with_outcome=True)
    found = [_reference(loop, rows)]
    window = _window(loop, times)
    found.append(window)
    if window is None and loop.performance is not None and len(answered):
        found.append(_window_outcomes(loop, answered, len(answered) / len(times)))
    if loop.performance is not None and loop.automation != "observe" and len(answered):
        found += [_holdout(loop.performance.gate, answered), _training(loop.performance.retraining, answered)]
    return [one for one in found if one is not None]


def _reference(loop: LoopSpec, rows: DeployedRows) -> LoopWarning | None:
    minimum, count = loop.drift.window.minimum_rows, rows.reference.num_rows
    if count >= minimum:
        return None
    return LoopWarning(
        "drift.window.minimum_rows",
        f"the reference has {count} rows, fewer than {minimum}, so every verdict would be `warming_up`",
        f"give at least {minimum} rows",
    )


def _window(loop: LoopSpec, times: Times) -> LoopWarning | None:
    window, minimum = loop.drift.window, loop.drift.window.minimum_rows
    if window.every is None:
        if (window.rows or 0) >= minimum:
            return None
        return LoopWarning(
            "drift.window.rows",
            f"a window of {window.rows} rows has fewer than drift.window.minimum_rows ({minimum}), so every verdict would be "
            "`insufficient_data`",
            f"set drift.window.minimum_rows to {window.rows} or less",
        )
    return _interval(
        "drift.window.every",
        window.every,
        times,
        needed=("drift.window.minimum_rows", minimum),
        intervals="windows",
        result="their verdict would be `insufficient_data`",
    )


def _window_outcomes(loop: LoopSpec, answered: Times, share: float) -> LoopWarning | None:
    window, minimum = loop.drift.window, loop.drift.window.minimum_rows
    if window.every is None:
        expected = round((window.rows or 0) * share)
        if expected >= minimum:
            return None
        return LoopWarning(
            "drift.window.rows",
            f"{share:.0%} of the rows have an outcome, so a window of {window.rows} rows would have about {expected}: too few "
            f"to measure performance, which needs drift.window.minimum_rows ({minimum})",
            f"set drift.window.rows to {round(minimum / share)} or more, or lower drift.window.minimum_rows",
        )
    return _interval(
        "drift.window.every",
        window.every,
        answered,
        needed=("drift.window.minimum_rows", minimum),
        intervals="windows",
        rows="rows with outcomes",
        result="performance would not be measured",
    )


def _holdout(gate: Gate, answered: Times) -> LoopWarning | None:
    return _interval(
        "gate.holdout",
        gate.holdout,
        answered,
        needed=("gate.minimum_rows", gate.minimum_rows),
        rows="rows with outcomes",
        result="most retraining runs would be abandoned",
    )


def _training(policy: Retraining, answered: Times) -> LoopWarning | None:
    window, minimum = policy.window, policy.minimum_rows
    if not isinstance(window, LastRows):
        return None
    if window.span is None:
        if (window.rows or 0) >= minimum:
            return None
        return LoopWarning(
            "retraining.window.rows",
            f"a run would train on {window.rows} rows, fewer than retraining.minimum_rows ({minimum}), so every run would be "
            "abandoned",
            f"set retraining.window.rows to {minimum} or more, or lower retraining.minimum_rows",
        )
    return _interval(
        "retraining.window.span",
        window.span,
        answered,
        needed=("retraining.minimum_rows", minimum),
        rows="rows with outcomes",
        result="most retraining runs would be abandoned",
    )


def _interval(
    key: str,
    length: timedelta,
    times: Times,
    *,
    needed: tuple[str, int],
    result: str,
    intervals: str = "intervals",
    rows: str = "rows",
) -> LoopWarning | None:
    """The warning that most intervals of `length`, the value of `key`, hold fewer rows than the `needed` key asks for."""
    minimum_key, minimum = needed
    found = interval_rows(times, length)
    if found is None or not found.mostly_too_few(minimum):
        return None
    text = duration_text(length)
    if found.extrapolated:
        share = f"at the rate of these rows, {text} would hold about {found.usual} {rows}, fewer"
    else:
        share = (
            f"{found.too_few(minimum)} of the {len(found.counts)} {intervals} of {text} in these rows hold fewer {rows} "
            f"(usually {found.usual})"
        )
    enough = sufficient_length(times, minimum)
    longer = f"set {key} to {duration_text(enough)} or lower" if enough else "lower"
    return LoopWarning(key, f"{share} than {minimum_key} ({minimum}), so {result}", f"{longer} {minimum_key}")
