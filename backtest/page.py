"""The plot of a back-test as one HTML file without scripts: loss over time of each policy, promotions marked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from backtest.result import BacktestResult

_WIDTH, _HEIGHT = 960, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 20, 40
# Distinct for colour-blind readers too: Okabe and Ito, Color Universal Design (2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_FROZEN = "#888888"
_PARTS = 52
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;margin-top:1rem}td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:right}"
    "td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto}"
)

# Name, colour, points, times of promotions.
Line = tuple[str, str, list[tuple[datetime, float]], Sequence[datetime]]


def render_page(result: BacktestResult) -> str:
    """The whole page; every text is escaped."""
    lines: list[Line] = [
        ("first version, never retrained", _FROZEN, result.over_time([(0, result.frozen)], _PARTS), ())
    ]
    for number, one in enumerate(result.policies):
        colour = _COLOURS[number % len(_COLOURS)]
        lines.append((one.policy.name, colour, result.over_time(one.served, _PARTS), one.promoted_at))
    title = escape(f"Back-test of {result.model}")
    about = escape(
        f"{result.rows} rows with outcomes from {result.start:%Y-%m-%d %H:%M} to {result.end:%Y-%m-%d %H:%M}. Mean "
        f"{result.metric} in {_PARTS} equal spans of time; a dot is a promotion. Regret is against the best schedule in "
        f"hindsight of {result.candidates} models."
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1><p>{about}</p>{_svg(lines, result)}{_table(result)}</body></html>\n"
    )


def _svg(lines: Sequence[Line], result: BacktestResult) -> str:
    values = [value for _, _, points, _ in lines for _, value in points]
    low, high = min(values), max(values)
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    low, high = low - margin, high + margin
    span = (result.end - result.start).total_seconds() or 1.0

    def x(moment: datetime) -> float:
        return _LEFT + (moment - result.start).total_seconds() / span * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="loss over time">']
    for step in range(5):
        value = low + (high - low) * step / 4
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" font-size="12">{value:.4g}</text>'
        )
        moment = result.start + (result.end - result.start) * step / 4
        parts.append(
            f'<text x="{x(moment):.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle" font-size="12">{moment:%Y-%m-%d}</text>'
        )
    for _, colour, points, promoted_at in lines:
        path = " ".join(f"{x(moment):.1f},{y(value):.1f}" for moment, value in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for moment in promoted_at:
            nearest = min(points, key=lambda point: abs(point[0] - moment))[1]
            parts.append(f'<circle cx="{x(moment):.1f}" cy="{y(nearest):.1f}" r="4" fill="{colour}"/>')
    legend = "".join(
        f'<span style="margin-right:1.5rem"><span style="color:{colour}">■</span> {escape(name)}</span>'
        for name, colour, _, _ in lines
    )
    return "".join(parts) + f"</svg><p>{legend}</p>"


def _table(result: BacktestResult) -> str:
    heads = ("policy", result.metric, "trainings", "promotions", "cost", "regret")
    rows = [("first version, never retrained", f"{result.frozen_loss:.5g}", "0", "0", "", "")]
    rows += [
        (
            one.policy.name,
            f"{one.loss:.5g}",
            str(one.trainings),
            str(one.promotions),
            f"{one.cost:.6g}",
            f"{one.regret:.4g}",
        )
        for one in result.policies
    ]
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
