"""Small drawings: a score against its threshold, its course over the last windows, two losses side by side. Pure.

Each has its meaning as text, for those who do not see it. Above the threshold is told by place and form, not by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.console.aggregation.view_models import Verdict
from services.console.formatting import clock, figure, times
from services.console.views.markup import Html, join, tag

TOP = 2.0  # a ratio beyond this is drawn as this
_WIDTH, _HEIGHT = 240, 44


def ratio_bar(ratio: float) -> Html:
    """A bar that is half full at the threshold, with a line there. The figures beside it say the same."""
    filled = round(50 * min(max(ratio, 0.0), TOP), 1)
    return tag(
        "svg",
        tag("path", class_="track", d="M0 6h100"),
        tag("path", class_="over" if ratio > 1 else "under", d=f"M0 6h{filled:g}"),
        tag("path", class_="limit", d="M50 0v12"),
        viewBox="0 0 100 12",
        class_="bar",
        aria_hidden="true",
    )


def strongest(verdict: Verdict) -> float | None:
    """The largest score ÷ threshold of a verdict, among those beside the data checks; those count where they exceed."""
    told = [
        score.ratio
        for score in verdict.scores
        if score.ratio is not None and (score.signal != "data" or score.exceeded)
    ]
    return max(told, default=None)


def course(verdicts: Sequence[Verdict]) -> Html:
    """The strongest score ÷ threshold of each window, oldest at the left; a window without one leaves a gap."""
    windows = list(reversed(verdicts))
    ratios = [strongest(verdict) for verdict in windows]
    known = [ratio for ratio in ratios if ratio is not None]
    if not known:
        return tag("p", "No scores yet.", class_="soft")
    above = sum(ratio > 1 for ratio in known)
    label = (
        f"Strongest score as a multiple of its threshold over {len(windows)} windows, oldest first; {above} above 1: "
        + ", ".join(times(ratio) if ratio is not None else "none" for ratio in ratios)
    )
    step = _WIDTH / max(len(windows), 12)
    bars = [
        _column(index * step, step, ratio, verdict.state, clock(verdict.window_end))
        for index, (verdict, ratio) in enumerate(zip(windows, ratios, strict=True))
    ]
    limit = tag("path", class_="limit", d=f"M0 {_HEIGHT / TOP:g}H{_WIDTH}")
    return tag(
        "svg",
        join(*bars, limit),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        class_="course",
        role="img",
        aria_label=label,
        preserveAspectRatio="none",
    )


def _column(left: float, step: float, ratio: float | None, state: str, end: str) -> Html:
    if ratio is None:
        return tag(
            "rect",
            class_="gap",
            x=f"{left + step * 0.15:.1f}",
            y=_HEIGHT - 2,
            width=f"{step * 0.7:.1f}",
            height=2,
        )
    height = max(1.5, _HEIGHT * min(max(ratio, 0.0), TOP) / TOP)
    kind = "over" if ratio > 1 else "under"
    return tag(
        "rect",
        class_=kind,
        x=f"{left + step * 0.15:.1f}",
        y=f"{_HEIGHT - height:.1f}",
        width=f"{step * 0.7:.1f}",
        height=f"{height:.1f}",
    )


def two_losses(frozen: float, served: float) -> Html:
    """The loss of the first version left alone beside that of what was served, to one scale from zero."""
    most = max(frozen, served, 1e-12)
    gain = (frozen - served) / frozen if frozen > 0 else 0.0
    said = f"{abs(gain):.0%} {'less' if gain >= 0 else 'more'} loss than the first version left alone"
    return join(
        tag(
            "dl",
            *_loss("frozen", "frozen", frozen, most),
            *_loss("served", "served", served, most),
            class_="losses",
        ),
        tag("p", said, class_="soft"),
    )


def _loss(kind: str, name: str, loss: float, most: float) -> tuple[Html, Html]:
    width = round(100 * max(loss, 0.0) / most, 1)
    bar = tag(
        "svg",
        tag("rect", class_=kind, width=width, height=8, rx=2),
        viewBox="0 0 100 8",
        class_="loss",
        aria_hidden="true",
        preserveAspectRatio="none",
    )
    return tag("dt", name), tag("dd", bar, tag("span", figure(loss)))
