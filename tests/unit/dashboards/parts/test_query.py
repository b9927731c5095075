"""PromQL as it is put together, and what `events` counts, by the measure of a real Prometheus's own test tool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.parts.query import Form, Query, events, quantile, rare_quantile, rate
from tests.boards import with_values
from tests.observability import program

FORMS: tuple[Form, ...] = ("rows", "now", "range")


def test_a_rate_is_summed_by_labels() -> None:
    assert rate("c_total", "a, b", "") == "sum by (a, b) (rate(c_total{}[$__rate_interval]))"


def test_a_quantile_comes_from_summed_buckets() -> None:
    assert (
        quantile(0.99, "h", "model", 'outcome="answered"')
        == 'histogram_quantile(0.99, sum by (le, model) (rate(h_bucket{outcome="answered"}[$__rate_interval])))'
    )
    assert quantile(0.5, "h", where="").startswith("histogram_quantile(0.5, sum by (le) (rate(")


def test_rare_quantile_uses_the_whole_time_range() -> None:
    assert "[$__range]" in rare_quantile(0.9, "h", "step", "")
    assert "$__rate_interval" not in rare_quantile(0.9, "h", "step", "")


def test_tables_and_figures_ask_for_now_and_a_graph_for_a_range() -> None:
    table, figure, graph = (Query("up").built(form, form).build() for form in FORMS)
    assert (table.instant, table.range_val, table.format_val) == (True, False, PromQueryFormat.TABLE)
    assert (figure.instant, figure.range_val, figure.format_val) == (True, False, None)
    assert (graph.instant, graph.range_val) == (False, True)
    assert (table.ref_id, graph.ref_id) == ("rows", "range")


def test_events_count_a_series_that_is_born_with_its_first_event(tmp_path: Path) -> None:
    """`increase` alone shows nothing for the first event of its kind, which is often the only one.

    The series: `old` was at 5 for long and got two more in minute 12; `new` appeared in minute 12 with 1 and stayed; `away` was
    not scraped for ten minutes and came back as it was.
    """
    at_15 = [{"labels": '{kind="away"}', "value": 0}, {"labels": '{kind="new"}', "value": 1}]
    rising = "5x11 7x20"
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": 'c_total{kind="old"}', "values": rising},
                    {"series": 'c_total{kind="new"}', "values": "_x11 1x20"},
                    {"series": 'c_total{kind="away"}', "values": "3x2 _x9 3x20"},
                ],
                "promql_expr_test": [
                    {
                        "expr": with_values(events("c_total", "kind", 'kind!="old"'), interval="5m"),
                        "eval_time": "15m",
                        "exp_samples": at_15,
                    },
                    # Two, or a little more: versions of Prometheus differ in how far increase() stretches.
                    {
                        "expr": with_values(events("c_total", "kind", 'kind="old"'), interval="5m")
                        + " >= bool 2",
                        "eval_time": "15m",
                        "exp_samples": [{"labels": '{kind="old"}', "value": 1}],
                    },
                    {
                        "expr": "count("
                        + with_values(events("c_total", "kind", ""), interval="5m")
                        + " > 0)",
                        "eval_time": "30m",
                        "exp_samples": [],
                    },
                ],
            }
        ],
    }
    path = tmp_path / "events.yml"
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
