"""The page of a gate's result: every number of the result, drawings from numbers alone, and text of data escaped."""

from __future__ import annotations

import doctest
from html.parser import HTMLParser
from typing import Any

import pytest

from services.retraining.http import gate_page
from services.retraining.http.gate_page import CONTENT_SECURITY_POLICY, render_gate

EVIL = "<script>alert('x')</script>\"&"
BINS = [{"rows": 20, "probability": 0.25, "share": 0.5}, {"rows": 20, "probability": 0.75, "share": 1.0}]


def described(**measures: Any) -> dict[str, Any]:
    gate = {
        "version": "new",
        "champion": "old",
        "rows": 1234,
        "metric": "log_loss",
        "champion_loss": 0.5,
        "challenger_loss": 0.4,
        "gain": {"mean": 0.1, "lower": 0.05, "blocks": 10, "block": "24 h"},
        "latency_ratio": 1.5,
        "checks": [{"name": "slices", "passed": False, "reason": f"origin={EVIL} loses"}],
        "passed": False,
        "reason": "",
    }
    return {"run_id": "run-1", "model": "toy", "gate": {**gate, "measures": measures} if measures else gate}


class Tags(HTMLParser):
    """The tags of a page, with the attributes that matter here."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


FULL: dict[str, Any] = {
    "curve": [("2026-01-01T00:00:00+00:00", -0.05), ("2026-01-02T00:00:00+00:00", 0.1)],
    "slices": {
        "slices": [
            {
                "name": f"origin={EVIL}",
                "rows": 300,
                "champion_loss": 0.51,
                "challenger_loss": 0.62,
                "increase": 0.11,
                "increase_lower": None,
                "maximum_increase": 0.051,
                "judged": True,
            }
        ]
    },
    "robustness": {
        "perturbations": [
            {
                "perturbation": "noise",
                "champion_loss": 0.55,
                "challenger_loss": None,
                "champion_rise": 0.05,
                "challenger_rise": None,
                "maximum_rise": 0.175,
                "problem": EVIL,
            }
        ]
    },
    "calibration": {"champion": {"error": 0.02, "bins": BINS}, "challenger": {"error": 0.03, "bins": BINS}},
    "fairness": {
        "feature": EVIL,
        "measure": "rate",
        "groups": [{"name": EVIL, "rows": 100, "champion": 0.1, "challenger": 0.2}],
    },
    "size": {"champion_bytes": None, "challenger_bytes": 2048},
    "agreement": {"agreement": 0.93, "of": "share of equal decisions"},
}


def test_page_shows_checks_curve_slices_and_reliability() -> None:
    page = render_gate(described(**FULL))
    for expected in ("refused", "0.40000", "2,048", "0.93000", "0.11000", "0.17500", "0.02000", "0.10000"):
        assert expected in page
    drawn = [attributes["points"] for tag, attributes in Tags(page).found if tag == "polyline"]
    assert drawn == ["0.0,160.0 640.0,0.0", "60.0,120.0 180.0,0.0", "60.0,120.0 180.0,0.0"]


@pytest.mark.parametrize("measures", [FULL, {}])
def test_texts_of_data_are_escaped_and_nothing_runs(measures: dict[str, Any]) -> None:
    page = render_gate(described(**measures))
    assert "alert(&#39;x&#39;)" in page
    tags = Tags(page).found
    assert "script" not in {tag for tag, _ in tags}
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "script-src" not in CONTENT_SECURITY_POLICY


def test_formulas_match_their_examples() -> None:
    assert doctest.testmod(gate_page).failed == 0
