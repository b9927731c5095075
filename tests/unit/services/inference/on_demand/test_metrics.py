from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from services.inference.models.slot import Slots
from services.inference.on_demand.metrics import OnDemandMetrics
from tests.fakes.releases import release_of


class World:
    def __init__(self, bound_bytes: int | None = 100) -> None:
        self.now = 1000.0
        self.registry = CollectorRegistry()
        self.versions: list[str] = []
        self.slots: Slots[Any] = Slots()
        self.metrics = OnDemandMetrics(self.registry, clock=lambda: self.now)
        versions: Any = SimpleNamespace(
            loaded=lambda servable: self.versions.append(f"+{servable.model}"),
            unloaded=lambda servable: self.versions.append(f"-{servable.model}"),
        )
        self.metrics.watch(self.slots, versions, bound_bytes=bound_bytes)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"homeostat_inference_{name}", labels)


def servable(model: str, memory_bytes: int = 0) -> Any:
    release = release_of(model, 1)
    return SimpleNamespace(
        model=model, generation=1, release=release, memory_bytes=memory_bytes, in_flight=0, retired=False
    )


def test_loads_and_unloads_are_counted() -> None:
    world = World()
    toy = servable("toy")
    world.metrics.loaded(toy, seconds=0.2)
    world.metrics.unloaded(toy)
    world.metrics.load_failed("toy")
    world.metrics.timed_out("toy")
    assert world.versions == ["+toy", "-toy"]
    assert world.sample("demand_loads_total", model="toy", result="loaded") == 1
    assert world.sample("demand_loads_total", model="toy", result="failed") == 1
    assert world.sample("demand_loads_total", model="toy", result="timed_out") == 1
    assert world.sample("unloads_total", model="toy") == 1
    assert world.sample("demand_load_duration_seconds_sum") == 0.2
    assert world.metrics.totals() == {"loaded": 1, "failed": 1, "timed_out": 1, "unloaded": 1}


def test_memory_and_models_are_those_of_the_slots() -> None:
    world = World()
    world.slots.swap(servable("a", 30))
    world.slots.swap(servable("b", 40))
    world.slots.register(release_of("c", 1))
    assert world.sample("models", state="loaded") == 2
    assert world.sample("models", state="unloaded") == 1
    assert world.sample("model_memory_bytes") == 70
    assert world.sample("model_memory_bound_bytes") == 100


def test_without_a_bound_no_memory_is_reported() -> None:
    world = World(bound_bytes=None)
    world.slots.swap(servable("a"))
    assert world.sample("model_memory_bytes") is None
    assert world.sample("model_memory_bound_bytes") is None


def test_loads_are_recent_for_a_minute() -> None:
    world = World()
    world.metrics.loaded(servable("a"), seconds=0.25)
    world.now += 59
    world.metrics.loaded(servable("b"), seconds=0.5)
    assert world.metrics.last_minute() == (2, 0.75)
    world.now += 2
    assert world.metrics.last_minute() == (1, 0.5)
