"""Places of runs: how many are carried out side by side, and how much memory their training commands share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class TrainingPlaces:
    """Chooses the waiting runs that begin. Not safe to call from several threads.

    A model has one run at a time, and the oldest run begins first, so no model waits for a second run of another. A run that
    needs more memory than is left lets `count` later runs pass; then what becomes free is kept for it.
    """

    def __init__(self, count: int, memory_bytes: int = 0, training_bytes: int = 0) -> None:
        """`count`: places. `memory_bytes`: for all trainings together, 0: not counted. `training_bytes`: for each, 0: any."""
        self._count = count
        self._memory_bytes = memory_bytes
        self._training_bytes = training_bytes
        self._passed: dict[str, int] = {}

    def memory_of(self, declared_bytes: int) -> int:
        """Memory that a training may use, which is what its run takes; 0: no limit.

        Without a declaration (0) it is an equal share, and never more than there is for all.

        >>> places = TrainingPlaces(4, memory_bytes=1000)
        >>> places.memory_of(600), places.memory_of(0), places.memory_of(5000)
        (600, 250, 1000)
        """
        limits = [self._training_bytes, self._memory_bytes]
        asked = declared_bytes or self._memory_bytes // self._count or self._training_bytes
        return min([asked, *(limit for limit in limits if limit)])

    def admit(self, waiting: Sequence[tuple[str, int]], active: Mapping[str, int]) -> list[str]:
        """The runs that begin now. `waiting`: oldest first; both with the memory of each run, as `memory_of` says."""
        left = self._memory_bytes - sum(active.values())
        admitted: list[str] = []
        held: list[str] = []
        self._passed = {run_id: self._passed.get(run_id, 0) for run_id, _ in waiting}
        for run_id, memory in waiting:
            if len(active) + len(admitted) >= self._count:
                break
            if self._memory_bytes and memory > left:
                if self._passed[run_id] >= self._count:
                    break
                held.append(run_id)
                continue
            admitted.append(run_id)
            left -= memory
            for passed in held:
                self._passed[passed] += 1
        return admitted
