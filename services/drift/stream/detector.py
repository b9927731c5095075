"""The stream detector of one model and generation: tiles in, alarms out. Restored from its state, it continues exactly.

1. count the tile into every statistic   2. data faults   3. drift, of columns without a fault
4. hold the blamed columns
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from services.drift.stream.alarm import Alarm, Blame
from services.drift.stream.blame import KINDS_OF_BURST, TileEvidence, drift_alarms, fault_alarms
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream.tiles import Tile
from shared.contracts.event_time import INSTANT

State = Mapping[str, npt.NDArray[Any]]

# The format of a state; a state of another format is not restored.
FORMAT = 1


class StateMismatch(ValueError):
    """The state is not of this profile: start without it."""


class StreamDetector:
    """`step` takes the tiles of one generation in the order of their event time, none twice."""

    def __init__(self, profile: StreamProfile) -> None:
        self.profile = profile
        self._numeric = profile.cusums.begin()
        self._categories = profile.categories.begin()
        self._many = profile.many.begin()
        self._bursts = profile.bursts.begin()
        self._broken = profile.broken.begin()
        # Event time (µs) until which a column is held after an alarm, and the same for all columns together.
        self._held = np.zeros(len(profile.layout.columns) + 1, np.int64)
        self._evidence: TileEvidence | None = None

    def step(self, tile: Tile, tolerates: Callable[[Blame], bool] = lambda _: False) -> tuple[Alarm, ...]:
        """Add a tile; the alarms it raises, data faults first. A column that alarmed is held for a window, then starts anew.

        `tolerates`: whether a column's fault is none to the user. It holds nothing: a fault beyond the tolerance may follow.
        """
        if tile.rows == 0:
            return ()
        profile = self.profile
        evidence = self._evidence = self._count(tile)
        free = self._held <= tile.start
        faults = self._beyond_tolerance(fault_alarms(profile, evidence, free[:-1], tile.end), tolerates)
        faulty = np.zeros(len(profile.layout.columns), bool)
        for alarm in faults:
            self._hold(alarm, faulty, tile)
        drifts = drift_alarms(profile, evidence, free & ~np.append(faulty, faulty.any()), tile.end)
        for alarm in drifts:
            self._hold(alarm, np.zeros_like(faulty), tile)
        return (*faults, *drifts)

    def evidence(self) -> Mapping[str, float]:
        """Evidence relative to its threshold by column, after the last tile: an alarm is raised at 1."""
        if self._evidence is None:
            return {}
        relative = self._evidence.strongest(self.profile) / self.profile.limits
        return {
            column.name: float(relative[place])
            for place, column in enumerate(self.profile.layout.columns)
            if column.watched
        }

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything `restore` needs, as plain arrays by name."""
        found: dict[str, npt.NDArray[Any]] = {"format": np.array([FORMAT]), "held": self._held.copy()}
        for name, part in self._parts().items():
            for field in fields(part):
                found[f"{name}.{field.name}"] = np.array(getattr(part, field.name))
        return found

    @classmethod
    def restore(cls, profile: StreamProfile, state: State) -> StreamDetector:
        """The detector as it was when `state` was taken. Raises StateMismatch if it is the state of another profile."""
        detector = cls(profile)
        expected = detector.state()
        for name, fresh in expected.items():
            given = state.get(name)
            if given is None or given.shape != fresh.shape or given.dtype != fresh.dtype:
                raise StateMismatch(f"array {name!r} of the state does not fit the profile")
        if int(state["format"][0]) != FORMAT:
            raise StateMismatch(f"the state has format {int(state['format'][0])}, expected {FORMAT}")
        detector._held = state["held"].copy()
        for name, part in detector._parts().items():
            for field in fields(part):
                setattr(part, field.name, state[f"{name}.{field.name}"].copy())
        return detector

    def _parts(self) -> dict[str, Any]:
        return {
            "numeric": self._numeric,
            "categories": self._categories,
            "many": self._many,
            "bursts": self._bursts,
            "broken": self._broken,
        }

    def _count(self, tile: Tile) -> TileEvidence:
        profile, start = self.profile, tile.start
        sums, rows = profile.scores_of(tile.counts, (tile.start + tile.end) // 2)
        held = self._held > start
        if held.any():
            # Held columns start anew when their time is over: nothing is added to them until then.
            self._reset(held)
        numeric = profile.cusums.step(self._numeric, sums, rows, start)
        categories = profile.categories.step(self._categories, tile.counts, start)
        many = profile.many.step(self._many, sums[:, 0], np.asarray(rows.max(initial=0.0)), start)
        bursts = profile.bursts.step(self._bursts, tile.counts, start)
        units, swaps, frozen = profile.broken.step(self._broken, tile.counts, start)
        return TileEvidence(
            numeric,
            categories,
            float(many),
            bursts,
            units,
            swaps,
            frozen,
            self._numeric.start,
            self._categories.start,
            int(self._many.start),
            self._bursts.start,
            self._broken,
        )

    def _beyond_tolerance(
        self, alarms: tuple[Alarm, ...], tolerates: Callable[[Blame], bool]
    ) -> tuple[Alarm, ...]:
        """Without tolerated blames, whose count starts anew, so that they do not hide what comes later in their share."""
        places, kept = self.profile.layout.names(), []
        for alarm in alarms:
            blamed = []
            for blame in alarm.blamed:
                if not tolerates(blame):
                    blamed.append(blame)
                elif alarm.method in KINDS_OF_BURST:
                    kind = KINDS_OF_BURST.index(alarm.method)
                    self._bursts.hits[places[blame.column], kind] = 0.0
                    self._bursts.rows[places[blame.column], kind] = 0.0
            if blamed:
                kept.append(replace(alarm, blamed=tuple(blamed)))
        return tuple(kept)

    def _hold(self, alarm: Alarm, faulty: npt.NDArray[np.bool_], tile: Tile) -> None:
        places = self.profile.layout.names()
        until = tile.end + self.profile.hold // INSTANT
        for blame in alarm.blamed:
            faulty[places[blame.column]] = alarm.state == "data_fault"
            self._held[places[blame.column]] = until
        # The statistic of all columns cannot leave out one of them.
        self._held[-1] = until

    def _reset(self, held: npt.NDArray[np.bool_]) -> None:
        profile, columns = self.profile, held[:-1]
        numeric = columns[profile.cusums.scores.columns]
        profile.cusums.reset(self._numeric, numeric)
        profile.categories.reset(self._categories, columns[profile.categories.columns])
        profile.broken.reset(self._broken, numeric)
        self._bursts.hits[columns] = 0.0
        self._bursts.rows[columns] = 0.0
        if held[-1]:
            self._many.sums[...] = 0.0
            self._many.rows[...] = 0.0
