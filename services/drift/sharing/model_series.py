"""Series of a model that this process no longer judges: kept, they would contradict those of the process that does."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics import MetricWrapperBase


def forget_model(metrics: Iterable[object], model: str) -> None:
    """Remove the model's series of all `metrics` with the label `model`; what is no metric is left alone."""
    for metric in metrics:
        if isinstance(metric, MetricWrapperBase) and "model" in metric._labelnames:
            metric.remove_by_labels({"model": model})
