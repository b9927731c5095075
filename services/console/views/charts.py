"""The geometry of the small charts: scores against their thresholds over the last windows, and two losses. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from services.console.formatting import multiple
from shared.contracts.verdict import Score, Verdict

CHART_WIDTH, CHART_HEIGHT = 240, 44
MAXIMUM_SCORES = 3
_TOP = 2.0  # larger ratios are drawn as this one
_MINIMUM_COLUMNS = 12


def ratio(score: Score) -> float | None:
    """Value ÷ threshold; None if the threshold is not above zero."""
    return score.value / score.threshold if score.threshold > 0 else None


def shown_scores(verdict: Verdict) -> list[Score]:
    """The strongest scores that exceed their thresholds; else the strongest score."""
    # Data checks have thresholds of another kind: below them, other signals say more.
    ranked = sorted(
        verdict.scores,
        key=lambda score: (score.exceeded, score.signal != "data", ratio(score) or 0.0),
        reverse=True,
    )
    return [score for score in ranked if score.exceeded][:MAXIMUM_SCORES] or ranked[:1]


def ratio_bar_width(value: float) -> str:
    """The length of a bar that is half of 100 at the threshold."""
    return f"{50 * _bounded(value):.4g}"


class Column(NamedTuple):
    """One window; `kind` is the CSS class."""

    kind: str
    x: str
    y: str
    width: str
    height: str


class Sparkline(NamedTuple):
    """`label` says the same as the columns in words; `limit` is the height of the threshold."""

    label: str
    columns: list[Column]
    width: int
    height: int
    limit: str


def sparkline(newest_first: Sequence[Verdict]) -> Sparkline | None:
    """The highest score ÷ threshold of each window, oldest at the left; None if no window has a score.

    A window has a verdict on its inputs and, later, one on its performance.
    """
    windows: dict[datetime, list[Verdict]] = {}
    for verdict in newest_first:
        windows.setdefault(verdict.window_end, []).append(verdict)
    ratios = [_highest_ratio(windows[end]) for end in sorted(windows)]
    known = [value for value in ratios if value is not None]
    if not known:
        return None
    label = (
        f"Highest score as a multiple of its threshold over {len(ratios)} windows, oldest first; "
        f"{sum(value > 1 for value in known)} above 1: "
        + ", ".join(multiple(value) if value is not None else "none" for value in ratios)
    )
    step = CHART_WIDTH / max(len(ratios), _MINIMUM_COLUMNS)
    columns = [_column(index * step, step, value) for index, value in enumerate(ratios)]
    return Sparkline(label, columns, CHART_WIDTH, CHART_HEIGHT, f"{CHART_HEIGHT / _TOP:g}")


def _highest_ratio(verdicts: Sequence[Verdict]) -> float | None:
    """Data checks count only if they exceed."""
    scores = [score for verdict in verdicts for score in verdict.scores]
    ratios = [ratio(score) for score in scores if score.signal != "data" or score.exceeded]
    return max((value for value in ratios if value is not None), default=None)


def _column(left: float, step: float, value: float | None) -> Column:
    height = 2.0 if value is None else max(1.5, CHART_HEIGHT * _bounded(value) / _TOP)
    kind = "gap" if value is None else ("over" if value > 1 else "under")
    x, width = f"{left + step * 0.15:.1f}", f"{step * 0.7:.1f}"
    return Column(kind, x, f"{CHART_HEIGHT - height:.1f}", width, f"{height:.1f}")


def _bounded(value: float) -> float:
    return min(max(value, 0.0), _TOP)


class LossBar(NamedTuple):
    """One loss: its name is the bar's class, its label is shown; the width is on a scale from 0 to 100."""

    name: str
    label: str
    loss: float
    width: str


class LossChart(NamedTuple):
    """Both losses as bars on one scale, and the comparison in words."""

    bars: tuple[LossBar, ...]
    comparison: str


def loss_chart(baseline: float, served: float) -> LossChart:
    """The loss of the first version beside the loss of the served versions."""
    largest = max(baseline, served, 1e-12)
    gain = (baseline - served) / baseline if baseline > 0 else 0.0
    comparison = f"{abs(gain):.0%} {'less' if gain >= 0 else 'more'} loss than the first version"
    losses = (("baseline", "first version", baseline), ("served", "served", served))
    return LossChart(
        tuple(
            LossBar(name, label, loss, f"{100 * max(loss, 0.0) / largest:.1f}")
            for name, label, loss in losses
        ),
        comparison,
    )
