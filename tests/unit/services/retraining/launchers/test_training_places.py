"""Places: runs of several models side by side, the oldest first, within the memory that they share."""

from __future__ import annotations

from services.retraining.launchers.training_places import TrainingPlaces


class Machine:
    """Carries runs out: `begun` in order, `active` with the memory of each."""

    def __init__(self, places: TrainingPlaces) -> None:
        self.places = places
        self.waiting: dict[str, int] = {}
        self.active: dict[str, int] = {}
        self.begun: list[str] = []

    def ask(self, run_id: str, memory: int = 0) -> None:
        self.waiting[run_id] = memory
        self.poll()

    def end(self, run_id: str) -> None:
        del self.active[run_id]
        self.poll()

    def poll(self) -> None:
        for run_id in self.places.admit(list(self.waiting.items()), self.active):
            self.active[run_id] = self.waiting.pop(run_id)
            self.begun.append(run_id)


def test_free_place_is_given_at_once_and_oldest_first() -> None:
    machine = Machine(TrainingPlaces(2))
    for run_id in ("a", "b", "c", "d"):
        machine.ask(run_id)
    assert machine.begun == ["a", "b"]
    machine.end("b")
    assert machine.begun == ["a", "b", "c"], "the long run a keeps nobody waiting"
    machine.end("c")
    assert machine.begun == ["a", "b", "c", "d"]


def test_memory_of_active_runs_is_never_exceeded() -> None:
    machine = Machine(TrainingPlaces(3, memory_bytes=1000))
    machine.ask("a", 600)
    machine.ask("b", 500)
    machine.ask("c", 400)
    assert machine.begun == ["a", "c"]
    machine.end("a")
    assert machine.begun == ["a", "c", "b"]
    assert sum(machine.active.values()) <= 1000


def test_large_run_is_passed_by_as_many_as_there_are_places() -> None:
    machine = Machine(TrainingPlaces(2, memory_bytes=1000))
    machine.ask("a", 100)
    machine.ask("large", 1000)
    for number in range(2):
        machine.ask(f"small{number}", 100)
        machine.end(machine.begun[-1])
    machine.ask("later", 100)
    assert machine.begun == ["a", "small0", "small1"]
    machine.end("a")
    assert machine.begun[-1] == "large"
    machine.end("large")
    assert machine.begun[-1] == "later"


def test_training_gets_what_its_run_takes() -> None:
    places = TrainingPlaces(2, memory_bytes=1000, training_bytes=700)
    assert [places.memory_of(declared) for declared in (0, 300, 900)] == [500, 300, 700]
    assert TrainingPlaces(2, memory_bytes=1000).memory_of(0) == 500
    assert TrainingPlaces(2).memory_of(0) == 0
    assert TrainingPlaces(2).memory_of(300) == 300
