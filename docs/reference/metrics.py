"""Metrics: what the services' registries hold when nothing has happened yet."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry

from docs.reference.markdown import code, table
from docs.reference.sources import module_name, parse, service_of, sources
from services.inference.prediction.spool_collector import SpoolCollector
from services.inference.runtimes.gpu import GpuCollector, GpuFigures
from shared.http.refused_access import RefusedAccess
from shared.spool import SpoolStatistics
from shared.tls.metrics import CertificateCollector


@dataclass(frozen=True)
class Metric:
    """One metric as Prometheus shows it: `owner` declares it, with its `kind`, `labels` and `description`."""

    owner: str
    name: str
    kind: str
    labels: tuple[str, ...]
    description: str


class _EmptySpool:
    """A spool to which nothing was written."""

    writer = "none"
    epoch = 0

    def statistics(self) -> SpoolStatistics:
        return SpoolStatistics(bytes=0, bound=0, appended={}, dropped={}, last_error="")


class _SilentGpu:
    """A GPU that tells nothing."""

    def read(self) -> GpuFigures:
        return GpuFigures(None, None, None)


class _SomeCertificate:
    """A certificate that has expired."""

    expires = 0.0


@cache
def all_metrics() -> tuple[Metric, ...]:
    """Every metric of the program, by owner and name."""
    found: set[Metric] = set()
    for path in sources("services"):
        if path.name == "metrics.py":
            module = importlib.import_module(module_name(path))
            for _, member in inspect.getmembers(module, inspect.isclass):
                if member.__module__ == module.__name__ and member.__name__.endswith("Metrics"):
                    found |= set(_held(_registry_of(member), service_of(path)))
    spool = CollectorRegistry()
    spool.register(SpoolCollector(_EmptySpool()))  # type: ignore[arg-type]  # asked for its statistics only
    found |= set(_held(spool, "services.inference"))
    listener = CollectorRegistry()
    listener.register(CertificateCollector(_SomeCertificate()))
    RefusedAccess(listener)
    found |= set(_held(listener, "shared"))
    gpu = CollectorRegistry()
    gpu.register(GpuCollector(_SilentGpu(), "cuda"))
    found |= set(_held(gpu, "services.inference"))
    return tuple(sorted(found, key=lambda metric: (metric.owner, metric.name)))


def names_in_source() -> set[str]:
    """Whatever looks like the name of a metric where it is declared: to see that none escapes the registries above."""
    found = set()
    for path in sources():
        for node in ast.walk(parse(path)):
            parts = (
                node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
            )
            first = parts[0] if parts else None
            if isinstance(first, ast.Constant) and re.fullmatch(r"homeostat_[a-z0-9_]+", str(first.value)):
                found.add(str(first.value))
    return found


def metric_table(owner: str) -> str:
    """The metrics of one service."""
    rows = [
        (
            code(metric.name),
            metric.kind,
            ", ".join(code(label) for label in metric.labels),
            metric.description,
        )
        for metric in all_metrics()
        if metric.owner == owner
    ]
    return table(("metric", "type", "labels", "meaning"), rows)


def _registry_of(metrics: type) -> CollectorRegistry:
    if "registry" in inspect.signature(metrics).parameters:
        registry = CollectorRegistry()
        metrics(registry)
        return registry
    made: CollectorRegistry = metrics().registry
    return made


def _held(registry: CollectorRegistry, owner: str) -> Iterator[Metric]:
    collectors: list[Any] = list(registry._collector_to_names)
    for collector in collectors:
        for family in collector.collect():
            labels = getattr(collector, "_labelnames", None) or getattr(family, "_labelnames", None) or ()
            name = family.name + ("_total" if family.type == "counter" else "")
            yield Metric(owner, name, family.type, tuple(labels), family.documentation)
