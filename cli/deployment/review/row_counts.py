"""Rows that windows, the holdout, training and the reference would have, against the minimum that each needs. Pure."""

from __future__ import annotations

from datetime import timedelta

from cli.deployment.review.deployed_rows import DeployedRows
from cli.deployment.review.intervals import IntervalRows, Times, interval_rows, sufficient_length
from cli.deployment.review.warning import LoopWarning
from shared.contracts.duration import duration_text
from shared.contracts.loop_spec import Gate, LastRows, LoopSpec, Retraining


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
    found = interval_rows(times, window.every)
    if found is None or not found.mostly_too_few(minimum):
        return None
    return LoopWarning(
        "drift.window.every",
        f"{_share(found, minimum, 'windows', window.every)} than drift.window.minimum_rows ({minimum}), so their verdict "
        "would be "
        "`insufficient_data`",
        _longer("drift.window.every", times, minimum, "drift.window.minimum_rows"),
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
    found = interval_rows(answered, window.every)
    if found is None or not found.mostly_too_few(minimum):
        return None
    return LoopWarning(
        "drift.window.every",
        f"{_share(found, minimum, 'windows', window.every, what='rows with outcomes')} than drift.window.minimum_rows "
        f"({minimum}), so performance would not be measured",
        _longer("drift.window.every", answered, minimum, "drift.window.minimum_rows"),
    )


def _holdout(gate: Gate, answered: Times) -> LoopWarning | None:
    found = interval_rows(answered, gate.holdout)
    if found is None or not found.mostly_too_few(gate.minimum_rows):
        return None
    return LoopWarning(
        "gate.holdout",
        f"{_share(found, gate.minimum_rows, 'intervals', gate.holdout, what='rows with outcomes')} than gate.minimum_rows "
        f"({gate.minimum_rows}), so most retraining runs would be abandoned",
        _longer("gate.holdout", answered, gate.minimum_rows, "gate.minimum_rows"),
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
    found = interval_rows(answered, window.span)
    if found is None or not found.mostly_too_few(minimum):
        return None
    return LoopWarning(
        "retraining.window.span",
        f"{_share(found, minimum, 'intervals', window.span, what='rows with outcomes')} than retraining.minimum_rows "
        f"({minimum}), "
        "so most retraining runs would be abandoned",
        _longer("retraining.window.span", answered, minimum, "retraining.minimum_rows"),
    )


def _share(
    found: IntervalRows, minimum: int, intervals: str, length: timedelta, *, what: str = "rows"
) -> str:
    text = duration_text(length)
    if found.extrapolated:
        return f"at the rate of these rows, {text} would hold about {found.usual} {what}, fewer"
    return (
        f"{found.too_few(minimum)} of the {len(found.counts)} {intervals} of {text} in these rows hold fewer {what} "
        f"(usually {found.usual})"
    )


def _longer(key: str, times: Times, minimum: int, other: str) -> str:
    enough = sufficient_length(times, minimum)
    return f"set {key} to {duration_text(enough)} or lower {other}" if enough else f"lower {other}"
