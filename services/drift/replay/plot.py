"""The plot of a replay: scores relative to their thresholds and the loss over event time, alarms marked. SVG without scripts."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.drift.evaluation.classify import strength
from services.drift.replay.summary import is_alarm
from shared.contracts.event_time import to_micros
from shared.contracts.verdict import Signal, Verdict

WIDTH, HEIGHT = 960, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 24
# A higher ratio is drawn as this one: how far a gross change exceeds its threshold says little.
HIGHEST_RATIO = 4.0
COLOURS: dict[Signal, str] = {
    "feature": "#2563eb",
    "prediction": "#7c3aed",
    "estimated_performance": "#0891b2",
    "performance": "#b45309",
    "data": "#64748b",
}
_RED, _GREY = "#dc2626", "#94a3b8"
_STYLE = "font-family:sans-serif;font-size:12px"


@dataclass(frozen=True)
class Line:
    """Values over time; a window without one interrupts the line."""

    name: str
    colour: str
    points: Sequence[tuple[datetime, float]]
    dashes: str = ""


def page_of(title: str, verdicts: Sequence[Verdict], change_at: datetime | None = None) -> str:
    """The plot and the alarms as a whole HTML page, which loads nothing. Times are event time, UTC."""
    rows = "".join(
        f"<tr><td>{one.window_end:%Y-%m-%d %H:%M}</td><td>{html.escape(one.detector)}</td>"
        f"<td>{html.escape(one.state)}</td><td>{html.escape(', '.join(one.top_drifted_features))}</td>"
        f"<td>{html.escape(one.explanation)}</td></tr>"
        for one in verdicts
        if is_alarm(one)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title><style>body{{font:14px sans-serif;margin:1.5rem}}td{{padding:.2rem .6rem}}"
        f"</style></head><body><h1>{html.escape(title)}</h1>{svg_of(title, verdicts, change_at)}"
        "<table><thead><tr><th>Window end, UTC</th><th>Detector</th><th>State</th><th>Features</th><th>Explanation</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></body></html>"
    )


def svg_of(title: str, verdicts: Sequence[Verdict], change_at: datetime | None = None) -> str:
    """The plot alone, as an SVG document."""
    times = [one.window_end for one in verdicts] or [datetime.min]
    span = min(times), max(times)
    ratios, losses = list(_ratios(verdicts)), list(_losses(verdicts))
    highest = max((value for line in losses for _, value in line.points), default=1.0)
    lowest = min((value for line in losses for _, value in line.points), default=0.0)
    margin = (highest - lowest or abs(highest) or 1.0) * 0.1
    panels = _panel(0, "Score ÷ threshold; above 1 is an alarm", ratios, (0.0, HIGHEST_RATIO), span)
    panels += _marks(verdicts, span, change_at, 0)
    if losses:
        panels += _panel(1, "Loss, and its threshold", losses, (lowest - margin, highest + margin), span)
        panels += _marks([one for one in verdicts if one.detector == "performance"], span, change_at, 1)
    height = HEIGHT * (2 if losses else 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" style="{_STYLE}"><title>{html.escape(title)}</title>'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{panels}</svg>'
    )


def _ratios(verdicts: Sequence[Verdict]) -> Iterator[Line]:
    """The strongest score of each signal relative to its threshold, over windows."""
    for signal, colour in COLOURS.items():
        points = []
        for verdict in verdicts:
            found = [strength(score) for score in verdict.scores if score.signal == signal]
            if found and verdict.detector != "stream":
                points.append((verdict.window_end, min(max(found), HIGHEST_RATIO)))
        if points:
            yield Line(signal.replace("_", " "), colour, points)
    yield Line("threshold", _RED, [(one.window_end, 1.0) for one in verdicts], "4 3")


def _losses(verdicts: Sequence[Verdict]) -> Iterator[Line]:
    judged = [one for one in verdicts if one.detector == "performance" and one.loss is not None]
    if not judged:
        return
    yield Line(
        "loss", COLOURS["performance"], [(one.window_end, one.loss) for one in judged if one.loss is not None]
    )
    limits = [
        (one.window_end, score.threshold)
        for one in judged
        for score in one.scores
        if score.signal == "performance" and not score.slice and not score.method.endswith("_floor")
    ]
    if limits:
        yield Line("threshold", _RED, limits, "4 3")
    before = [(one.window_end, one.reference_loss) for one in judged if one.reference_loss is not None]
    if before:
        yield Line("reference", _GREY, before, "1 3")


def _panel(
    place: int, title: str, lines: Sequence[Line], scale: tuple[float, float], span: tuple[datetime, datetime]
) -> str:
    top, bottom = place * HEIGHT + TOP, (place + 1) * HEIGHT - BOTTOM
    low, high = scale

    def height(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    drawn = [f'<text x="{LEFT}" y="{place * HEIGHT + 16}" font-weight="bold">{html.escape(title)}</text>']
    for step in range(5):
        value = low + (high - low) * step / 4
        y = height(value)
        drawn.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e2e8f0"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        moment = span[0] + (span[1] - span[0]) * part
        x = LEFT + part * (WIDTH - LEFT - RIGHT)
        drawn.append(
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="{anchor}">{moment:%Y-%m-%d %H:%M}</text>'
        )
    right = WIDTH - RIGHT
    for line in reversed(lines):
        drawn.append(
            f'<text x="{right}" y="{place * HEIGHT + 16}" text-anchor="end" fill="{line.colour}">{html.escape(line.name)}</text>'
        )
        right -= 9 * len(line.name) + 12
    for line in lines:
        path = " ".join(f"{_x(moment, span):.1f},{height(value):.1f}" for moment, value in line.points)
        drawn.append(
            f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.5" '
            f'stroke-dasharray="{line.dashes or "none"}"/>'
        )
        if not line.dashes:
            drawn += [
                f'<circle cx="{_x(moment, span):.1f}" cy="{height(value):.1f}" r="1.8" fill="{line.colour}"/>'
                for moment, value in line.points
            ]
    return "".join(drawn)


def _marks(
    verdicts: Sequence[Verdict], span: tuple[datetime, datetime], change_at: datetime | None, place: int
) -> str:
    """A triangle for each alarm, with its explanation, and a line where the change is known to be."""
    top, bottom = place * HEIGHT + TOP, (place + 1) * HEIGHT - BOTTOM
    drawn = []
    if change_at is not None and span[0] <= change_at <= span[1]:
        x = _x(change_at, span)
        drawn.append(
            f'<path d="M{x:.1f} {top}V{bottom}" stroke="#000" stroke-dasharray="6 4"><title>change</title></path>'
        )
    for one in verdicts:
        if is_alarm(one):
            x, colour = _x(one.window_end, span), _RED if one.state == "drift" else COLOURS["data"]
            words = html.escape(f"{one.window_end:%Y-%m-%d %H:%M} {one.detector}: {one.explanation}")
            drawn.append(
                f'<path class="alarm" d="M{x:.1f} {top - 1}l-5 -9h10z" fill="{colour}"><title>{words}</title></path>'
            )
    return "".join(drawn)


def _x(moment: datetime, span: tuple[datetime, datetime]) -> float:
    length = max(1, to_micros(span[1]) - to_micros(span[0]))
    return LEFT + (to_micros(moment) - to_micros(span[0])) / length * (WIDTH - LEFT - RIGHT)
