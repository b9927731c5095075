from __future__ import annotations

from dataclasses import dataclass

import pytest

from services.inference.on_demand.least_recently_used import choose_to_unload


@dataclass
class Held:
    name: str
    memory_bytes: int
    used: float
    in_flight: int = 0


A, B, C = Held("a", 40, 3.0), Held("b", 30, 1.0), Held("c", 20, 2.0)
BUSY = Held("busy", 30, 0.0, in_flight=1)


@pytest.mark.parametrize(
    ("loaded", "needed", "names"),
    [
        ([A, B, C], 10, []),
        ([A, B, C], 11, ["b"]),
        ([A, B, C], 40, ["b"]),
        ([A, B, C], 41, ["b", "c"]),
        ([A, B, C], 100, ["b", "c", "a"]),
        ([A, B, C], 101, None),
        ([A, BUSY], 70, ["a"]),
        ([A, BUSY], 71, None),
        ([], 100, []),
    ],
)
def test_oldest_idle_models_make_room(loaded: list[Held], needed: int, names: list[str] | None) -> None:
    chosen = choose_to_unload(loaded, needed, 100, lambda one: one.used)
    assert (None if chosen is None else [one.name for one in chosen]) == names
