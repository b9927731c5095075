from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.drift.sharing.model_series import forget_model


def test_series_of_the_model_go_and_no_others() -> None:
    registry = CollectorRegistry()
    rows = Counter("rows", "Rows.", ("model", "kind"), registry=registry)
    lag = Gauge("lag", "Lag.", registry=registry)
    for model in ("mine", "theirs"):
        for kind in ("a", "b"):
            rows.labels(model, kind).inc()
    lag.set(3)
    forget_model([rows, lag, "no metric"], "theirs")
    assert registry.get_sample_value("rows_total", {"model": "theirs", "kind": "a"}) is None
    assert registry.get_sample_value("rows_total", {"model": "theirs", "kind": "b"}) is None
    assert registry.get_sample_value("rows_total", {"model": "mine", "kind": "a"}) == 1
    assert registry.get_sample_value("lag") == 3
