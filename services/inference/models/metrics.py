"""Metrics of releases: what is served, the swaps to it, and the versions in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.inference.histogram import SWAP_BUCKETS, Histogram
from services.inference.metric_families import by_model, counter, gauge, histogram
from services.inference.models.servable import Servable
from shared.contracts.release import Release

KEPT_VERSIONS = 16  # replaced versions per model whose series are kept


class ReleaseMetrics(Collector):
    """Counted on the server's event loop and in the release poller's thread."""

    def __init__(
        self, registry: CollectorRegistry, *, forget: Callable[[str, str], None] = lambda model, version: None
    ) -> None:
        """`forget` drops the series of a version, given its model and short name, that was replaced long ago."""
        self._forget = forget
        self._swaps: Counter[tuple[str, str]] = Counter()
        self._swap_seconds: dict[str, Histogram] = {}
        self._release_failed: dict[str, int] = {}
        self._served: dict[str, Servable] = {}
        self._generations: dict[str, int] = {}
        self._loaded: Counter[str] = Counter()
        self._retired: dict[str, list[str]] = {}
        self._release_log_age: Callable[[], float | None] = lambda: None
        self._answers: Callable[[], Mapping[str, bool]] = dict
        registry.register(self)

    def on_forget(self, forget: Callable[[str, str], None]) -> None:
        """Set what else drops the series of such a version."""
        before = self._forget

        def both(model: str, version: str) -> None:
            before(model, version)
            forget(model, version)

        self._forget = both

    def swapped(self, servable: Servable, *, seconds: float) -> None:
        """A new release is live."""
        self._swaps[servable.model, "served"] += 1
        self._swap_seconds.setdefault(servable.model, Histogram(SWAP_BUCKETS)).observe(seconds)
        self.loaded(servable)
        self.release_served(servable.model)

    def registered(self, release: Release) -> None:
        """A release is live, and is loaded when a request needs it."""
        self._generations[release.model] = release.generation

    def loaded(self, servable: Servable) -> None:
        """The live version is in memory."""
        self._served[servable.model] = servable
        self._generations[servable.model] = servable.generation
        self._loaded[servable.model] += 1

    def side_loaded(self, servable: Servable) -> None:
        """A canary or shadow is in memory."""
        self._loaded[servable.model] += 1

    def swap_failed(self, model: str) -> None:
        """A release could not be loaded; the one before it stays live."""
        self._swaps[model, "failed"] += 1
        self._release_failed[model] = 1

    def release_unreadable(self, model: str) -> None:
        """The newest release cannot be read from the release log; the one before it stays live."""
        self._release_failed[model] = 1

    def release_served(self, model: str) -> None:
        """The newest release is live."""
        self._release_failed[model] = 0

    def unloaded(self, servable: Servable) -> None:
        """A version was unloaded; the series of the last KEPT_VERSIONS stay."""
        self._loaded[servable.model] -= 1
        retired = self._retired.setdefault(servable.model, [])
        if servable.version_short in retired:
            retired.remove(servable.version_short)
        retired.append(servable.version_short)
        while len(retired) > KEPT_VERSIONS:
            oldest = retired.pop(0)
            served = self._served.get(servable.model)
            if served is None or served.version_short != oldest:
                self._forget(servable.model, oldest)

    def watch_release_log(self, age: Callable[[], float | None]) -> None:
        """Set the source of the release log's age."""
        self._release_log_age = age

    def watch_served(self, answers: Callable[[], Mapping[str, bool]]) -> None:
        """Set the source of which models requests are answered for."""
        self._answers = answers

    def collect(self) -> Iterable[Metric]:
        """All series. Copies each mapping first: the poller's thread may change it during a scrape."""
        yield from self._collect_releases()
        yield from self._collect_versions()

    def _collect_releases(self) -> Iterable[Metric]:
        yield counter(
            "homeostat_inference_swaps",
            "Attempts to load and serve a new release; result is served or failed.",
            ["model", "result"],
            self._swaps,
        )
        yield histogram(
            "homeostat_inference_swap_duration_seconds",
            "Time from detecting a release to serving it.",
            ["model"],
            by_model(self._swap_seconds),
        )
        yield gauge(
            "homeostat_inference_release_failed",
            "1 if the newest release cannot be read or loaded and the previous version stays live, else 0.",
            ["model"],
            by_model(self._release_failed),
        )
        yield gauge(
            "homeostat_inference_model_served",
            "1 if requests for a released model are answered, 0 if not: it is being loaded, or no version of it can be.",
            ["model"],
            by_model({model: int(served) for model, served in self._answers().items()}),
        )
        age = self._release_log_age()
        yield GaugeMetricFamily(
            "homeostat_inference_release_log_age_seconds",
            "Seconds since the release log was last read; NaN before the first time.",
            float("nan") if age is None else age,
        )

    def _collect_versions(self) -> Iterable[Metric]:
        served = list(self._served.values())
        yield gauge(
            "homeostat_inference_generation",
            "Live generation, also of a model that is loaded on demand.",
            ["model"],
            by_model(self._generations),
        )
        yield gauge(
            "homeostat_inference_model_info",
            "1 for the live version, with the precision and the runtime in which it is computed.",
            ["model", "version", "device", "precision", "runtime"],
            {
                (
                    servable.model,
                    servable.version_short,
                    servable.device,
                    servable.form.precision,
                    servable.runtime,
                ): 1
                for servable in served
            },
        )
        yield gauge(
            "homeostat_inference_precision_difference",
            "Largest difference on reference rows between the live version and float32 on the CPU; absent if it runs so.",
            ["model"],
            {(one.model,): one.difference for one in served if one.difference is not None},
        )
        yield gauge(
            "homeostat_inference_loaded_versions",
            "Versions in memory: more than one while a replaced version drains; 0 if the model is unloaded.",
            ["model"],
            by_model(self._loaded),
        )
