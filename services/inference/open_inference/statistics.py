"""Statistics of models in the form of Triton's statistics extension, from the service's own metrics. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client.core import Metric

from services.inference.metrics import InferenceMetrics
from services.inference.models.servable import Servable

_PREFIX = "homeostat_inference_"
_REQUESTS = f"{_PREFIX}request_duration_seconds"
_CALLS = f"{_PREFIX}call_duration_seconds"


def model_statistics(servables: Iterable[Servable], metrics: InferenceMetrics) -> dict[str, Any]:
    """The statistics of each live version since the process started: counts, and durations in nanoseconds.

    `success` and `fail` measure requests, `queue` and `compute_infer` calls of the model; what is not measured is left out.
    """
    sums = _sums(metrics.collect())
    return {
        "model_stats": [_of(servable, sums, metrics.seconds_in_queue(servable)) for servable in servables]
    }


_Sums = dict[tuple[str, str, str, str], float]


def _sums(metrics: Iterable[Metric]) -> _Sums:
    """The samples by name, model, version and outcome."""
    found: _Sums = {}
    for metric in metrics:
        for sample in metric.samples:
            if sample.name.startswith(_PREFIX) and not sample.name.endswith("_bucket"):
                labels = sample.labels
                key = (
                    sample.name,
                    labels.get("model", ""),
                    labels.get("version", ""),
                    labels.get("outcome", ""),
                )
                found[key] = found.get(key, 0.0) + sample.value
    return found


def _of(servable: Servable, sums: _Sums, seconds_in_queue: float) -> dict[str, Any]:
    def total(name: str, outcome: str = "", version: str = servable.version_short) -> float:
        return sums.get((name, servable.model, version, outcome), 0.0)

    def duration(name: str, *outcomes: str) -> dict[str, int]:
        return {
            "count": int(sum(total(f"{name}_count", outcome) for outcome in outcomes)),
            "ns": round(sum(total(f"{name}_sum", outcome) for outcome in outcomes) * 1e9),
        }

    calls = duration(_CALLS, "")
    rows = int(total(f"{_PREFIX}rows_total"))
    last = total(f"{_PREFIX}last_prediction_timestamp_seconds", version="") if rows else 0.0
    return {
        "name": servable.model,
        "version": servable.version,
        "last_inference": round(last * 1000),
        "inference_count": rows,
        "execution_count": calls["count"],
        "inference_stats": {
            "success": duration(_REQUESTS, "answered"),
            "fail": duration(_REQUESTS, "refused", "failed"),
            "queue": {"count": calls["count"], "ns": round(seconds_in_queue * 1e9)},
            "compute_infer": calls,
        },
    }
