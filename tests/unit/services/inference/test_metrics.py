from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from services.inference.declared_precision import Form
from services.inference.metrics import InferenceMetrics
from services.inference.models.metrics import KEPT_VERSIONS


def servable(version: str) -> Any:
    return SimpleNamespace(
        model="toy",
        version_short=version,
        generation=1,
        device="cpu",
        form=Form("fp16"),
        runtime="onnxruntime",
        difference=0.00025,
    )


def test_exposition_text() -> None:
    registry = CollectorRegistry()
    metrics = InferenceMetrics(registry, maximum_in_flight=256, clock=lambda: 1_767_225_600.5)
    metrics.runs_on("cpu", "requested")
    metrics.watch_queue(lambda: 3)
    served = servable("abc")
    metrics.releases.swapped(served, seconds=0.2)
    metrics.called(served, waited=0.00001, seconds=0.0002)
    metrics.called(served, waited=0.3, seconds=7.0)
    metrics.answered(served, rows=3, seconds=0.0004)
    metrics.answered(served, rows=10, seconds=0.0004)
    metrics.failed(None, "refused", 422, 0.0001)
    text = generate_latest(registry).decode()
    for line in (
        "homeostat_inference_requests_in_flight_limit 256.0",
        'homeostat_inference_request_duration_seconds_bucket{le="0.0005",model="toy",outcome="answered",version="abc"} 2.0',
        'homeostat_inference_request_duration_seconds_count{model="",outcome="refused",version=""} 1.0',
        'homeostat_inference_rows_total{model="toy",version="abc"} 13.0',
        'homeostat_inference_batch_rows_bucket{le="2.0",model="toy"} 0.0',
        'homeostat_inference_batch_rows_bucket{le="5.0",model="toy"} 1.0',
        'homeostat_inference_batch_rows_bucket{le="10.0",model="toy"} 2.0',
        'homeostat_inference_batch_rows_sum{model="toy"} 13.0',
        'homeostat_inference_call_duration_seconds_bucket{device="cpu",le="0.00025",model="toy",version="abc"} 1.0',
        'homeostat_inference_call_duration_seconds_sum{device="cpu",model="toy",version="abc"} 7.0002',
        'homeostat_inference_queue_duration_seconds_bucket{le="5e-05",model="toy"} 1.0',
        'homeostat_inference_queue_duration_seconds_count{model="toy"} 2.0',
        "homeostat_inference_calls_queued 3.0",
        'homeostat_inference_last_prediction_timestamp_seconds{model="toy"} 1.7672256005e+09',
        'homeostat_inference_device_info{device="cpu",reason="requested"} 1.0',
        'homeostat_inference_release_failed{model="toy"} 0.0',
        'homeostat_inference_errors_total{status="422"} 1.0',
        'homeostat_inference_swaps_total{model="toy",result="served"} 1.0',
        'homeostat_inference_model_info{device="cpu",model="toy",precision="fp16",runtime="onnxruntime",version="abc"} 1.0',
        'homeostat_inference_precision_difference{model="toy"} 0.00025',
        "homeostat_inference_release_log_age_seconds NaN",
    ):
        assert line in text.splitlines()


def test_no_samples_before_first_event() -> None:
    registry = CollectorRegistry()
    metrics = InferenceMetrics(registry)
    metrics.releases.swapped(servable("abc"), seconds=0.2)
    text = generate_latest(registry).decode()
    assert "homeostat_inference_last_prediction_timestamp_seconds{" not in text
    assert "homeostat_inference_device_info{" not in text


def test_old_version_series_are_dropped() -> None:
    registry = CollectorRegistry()
    metrics = InferenceMetrics(registry)
    for number in range(3 * KEPT_VERSIONS):
        version = servable(f"v{number}")
        metrics.releases.swapped(version, seconds=0.1)
        metrics.answered(version, rows=1, seconds=0.001)
        metrics.called(version, waited=0.0, seconds=0.001)
        metrics.releases.unloaded(version)
    again = servable("v0")
    metrics.releases.swapped(again, seconds=0.1)
    metrics.answered(again, rows=1, seconds=0.001)
    metrics.called(again, waited=0.0, seconds=0.001)

    def calls(version: str) -> float | None:
        return registry.get_sample_value(
            "homeostat_inference_call_duration_seconds_count",
            {"model": "toy", "version": version, "device": "cpu"},
        )

    def rows(version: str) -> float | None:
        return registry.get_sample_value(
            "homeostat_inference_rows_total", {"model": "toy", "version": version}
        )

    shown = [number for number in range(3 * KEPT_VERSIONS) if rows(f"v{number}")]
    assert shown == [0, *range(2 * KEPT_VERSIONS, 3 * KEPT_VERSIONS)]
    assert [number for number in range(3 * KEPT_VERSIONS) if calls(f"v{number}")] == shown
