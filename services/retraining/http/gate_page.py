"""The page of a gate's result: `templates/gate.html` with tables and drawings, without scripts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Template

from shared.http.pages import content_security_policy, make_environment, read_static, shared_style

_STYLE = shared_style() + read_static("services.retraining", "gate.css")
CONTENT_SECURITY_POLICY = content_security_policy(_STYLE)
_WIDTH, _HEIGHT, _SQUARE = 640.0, 160.0, 240.0


def render_gate(run: Mapping[str, Any]) -> str:
    """The page for a run with a gate result, as `describe_run` gives it."""
    gate = run["gate"]
    measures = gate.get("measures", {})
    return _template().render(
        style=_STYLE,
        run=run,
        gate=gate,
        before_after=_before_after(gate, measures),
        curve=_curve(measures.get("curve", ())),
        slices=measures.get("slices", {}).get("slices", ()),
        perturbations=measures.get("robustness", {}).get("perturbations", ()),
        reliability=_reliability(measures.get("calibration", {})),
        fairness=measures.get("fairness"),
        width=_WIDTH,
        height=_HEIGHT,
        square=_SQUARE,
    )


@cache
def _template() -> Template:
    environment = make_environment("services.retraining")
    environment.filters["number"] = _number
    return environment.get_template("gate.html")


def _number(value: Any) -> str:
    """A number with five digits, a dash for none.

    >>> _number(0.123456), _number(None), _number(1200)
    ('0.12346', '–', '1,200')
    """
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.5f}"


def _before_after(gate: Mapping[str, Any], measures: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Rows of the table: what, of the champion, of the challenger; without what was not measured."""
    reported = gate.get("reported", {"champion": None, "challenger": {}})
    calibration = measures.get("calibration")
    rows = [
        (f"{gate['metric']} (loss)", gate["champion_loss"], gate["challenger_loss"]),
        *(
            (name, (reported["champion"] or {}).get(name), value)
            for name, value in reported["challenger"].items()
        ),
    ]
    if calibration:
        rows.append(
            (
                "expected calibration error",
                calibration["champion"]["error"],
                calibration["challenger"]["error"],
            )
        )
    for name in ("size", "memory"):
        if name in measures:
            rows.append(
                (f"{name} in bytes", measures[name]["champion_bytes"], measures[name]["challenger_bytes"])
            )
    if gate["latency_ratio"] is not None:
        rows.append(("latency, as a multiple of the champion's", 1.0, gate["latency_ratio"]))
    if "agreement" in measures:
        rows.append(
            (
                f"agreement with the champion ({measures['agreement']['of']})",
                None,
                measures["agreement"]["agreement"],
            )
        )
    return rows


def _curve(points: Sequence[Sequence[Any]]) -> dict[str, Any] | None:
    """The cumulative gain as the points of a polyline, with the height of zero."""
    if len(points) < 2:
        return None
    values = [float(value) for _, value in points]
    low, high = min(0.0, *values), max(0.0, *values)
    scale = _HEIGHT / ((high - low) or 1.0)
    step = _WIDTH / (len(values) - 1)
    return {
        "points": " ".join(
            f"{place * step:.1f},{(high - value) * scale:.1f}" for place, value in enumerate(values)
        ),
        "zero": round(high * scale, 1),
        "low": low,
        "high": high,
        "last": values[-1],
        "from": points[0][0],
        "until": points[-1][0],
    }


def _reliability(calibration: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each model its name and the points of its diagram: mean probability of a bin to the right, share of hits upwards."""
    return [
        {
            "name": name,
            "bins": calibration[name]["bins"],
            "points": " ".join(
                f"{one['probability'] * _SQUARE:.1f},{(1 - one['share']) * _SQUARE:.1f}"
                for one in calibration[name]["bins"]
            ),
        }
        for name in ("champion", "challenger")
        if name in calibration
    ]
