"""Sums of metrics in Prometheus text."""

from __future__ import annotations

from cli.checks.http_client import metric_sum


def test_metric_is_summed_over_its_series() -> None:
    text = '# HELP a_total x\na_total{kind="b"} 1\na_total{kind="c"} 2.5\na_total_more 9\nplain 4\n'
    assert metric_sum(text, "a_total") == 3.5
    assert metric_sum(text, "a_total", 'kind="c"') == 2.5
    assert metric_sum(text, "plain") == 4
    assert metric_sum(text, "absent") is None
