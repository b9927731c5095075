"""Compares the answers of a challenger in a phase with those of the live version, as outcomes become due, and ends the phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import numpy as np

from services.retraining.isolated_models import OpenModel
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.phases import Phase
from services.retraining.ledger.records import Run
from services.retraining.phases.phase_end import PhaseEnd
from services.retraining.phases.phase_guard import SLOT_OF, length_of
from services.retraining.rollout.stored_model import StoredModel, check_comparable, stored_model
from services.retraining.rollout.watched_rows import PairedLosses, paired_losses
from services.retraining.watch.blocks import MINIMUM_ROWS, close_blocks, last_edge
from shared.contracts.duration import duration_text
from shared.contracts.manifest import short
from shared.contracts.release import Release, live
from shared.errors import IntegrityError, NotFound, ProjectError, UnservableModel
from shared.models.signed_versions.installation_keys import Keys
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore

MAX_ROWS = 200_000
# Event time does not pass without rows: then a phase ends this long after its time by the clock.
_CLOCK_SLACK = timedelta(days=1)


class PhaseQuality:
    """Looks at a run's phase once per call. The ledger and the release log hold all state."""

    def __init__(
        self,
        ledger: Ledger,
        store: ModelStore,
        lake: Lake,
        keys: Keys,
        end: PhaseEnd,
        clock: Callable[[], datetime],
        *,
        open_model: OpenModel,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._lake = lake
        self._keys = keys
        self._end = end
        self._clock = clock
        self._open_model = open_model
        self._max_rows = max_rows

    def look(self, run_id: str) -> Phase | None:
        """Continue or end the phase of a run; None if it is in none, or its slot was not started yet.

        1. rows whose outcomes are due are scored by the version that did not answer them, in blocks of event time
        2. worse: refuse   3. the time is over: pass. A comparison that is not possible refuses nothing, and the reason says so
        Raises HomeostatError while a store is unavailable or a version cannot be scored; then the next look continues.
        """
        run = self._ledger.run(run_id)
        slot = SLOT_OF.get(run.state)
        phase = self._ledger.phases.find(run_id, slot) if slot is not None else None
        if phase is None or phase.outcome:
            return phase
        log = self._store.releases(run.model)
        entries = [entry for entry in log if entry.slot == phase.slot and entry.version == run.version]
        first = next((entry for entry in entries if entry.run_id == run_id), None)
        served = live(log)
        if first is None or served is None or served.version != run.champion:
            return phase  # the guard starts or ends it
        phase = self._with_rows(run, phase)
        # Read once: rows that come while others are scored are not measured yet, so the phase must not end by them.
        newest = self._newest(run.model)
        problem: UnservableModel | None = None
        uncomparable = ""
        try:
            after = [entry.generation for entry in entries if entry.generation >= first.generation]
            phase = self._measure(run, phase, served, after, newest)
        except UnservableModel as error:
            problem = error
        except (ProjectError, NotFound, IntegrityError) as error:
            uncomparable = f"the versions cannot be compared: {error}"
        if phase.evidence.is_worse:
            return self._end.decide(run, phase, "worse", phase.beside("the live version"))
        if not self._is_over(run, phase, newest):
            if problem is not None:
                raise problem
            return phase
        if problem is not None:
            uncomparable = f"a version could not be scored: {problem}"
        return self._end.decide(run, phase, "passed", self._summary(run, phase, uncomparable))

    def _with_rows(self, run: Run, phase: Phase) -> Phase:
        if phase.rows_from is not None:
            return phase
        newest = self._lake.latest_event_time(run.model)
        if newest is None:
            return phase
        start = min(newest, self._clock())  # a row dated ahead counts as of now
        return self._ledger.phases.set_rows(phase, start, start + length_of(run, phase.slot))

    def _measure(
        self, run: Run, phase: Phase, served: Release, generations: list[int], newest: datetime | None
    ) -> Phase:
        start, end = phase.rows_from, phase.rows_until
        if start is None or end is None:
            return phase
        live_spec = self._store.manifest(run.model, run.champion).loop
        delay = run.loop.require_performance().outcome.delay
        begin = phase.blocks[-1].end if phase.blocks else start
        until = last_edge(start, end, _passed(newest, start) - delay)
        if begin >= until:
            return phase
        if phase.slot == "canary":
            # The live version is asked about the rows that the canary answered.
            check_comparable(run.champion, live_spec, run.loop)
            with self._opened(run.model, run.champion) as other:
                parts = [
                    paired_losses(self._lake, other, run.loop, generation, begin, until, self._max_rows)
                    for generation in generations
                ]
            pairs = _in_order(parts)
            losses, live_losses = pairs.losses, pairs.former_losses
        else:
            check_comparable(run.version, run.loop, live_spec)
            with self._opened(run.model, run.version) as other:
                pairs = paired_losses(
                    self._lake, other, live_spec, served.generation, begin, until, self._max_rows
                )
            losses, live_losses = pairs.former_losses, pairs.losses
        blocks = close_blocks(start, end, begin, until, pairs.times, losses, live_losses)
        return self._ledger.phases.add_blocks(phase, blocks) if blocks else phase

    @contextmanager
    def _opened(self, model: str, version: str) -> Iterator[StoredModel]:
        doing = f"version {short(version)} was compared with the one beside it"
        with stored_model(self._store, self._keys, model, version, self._open_model, doing) as opened:
            yield opened

    def _newest(self, model: str) -> datetime | None:
        """Event time of the newest row. A row dated ahead counts as of now."""
        newest = self._lake.latest_event_time(model)
        return None if newest is None else min(newest, self._clock())

    def _is_over(self, run: Run, phase: Phase, newest: datetime | None) -> bool:
        if self._clock() > phase.began_at + length_of(run, phase.slot) + _CLOCK_SLACK:
            return True
        until = phase.rows_until
        return until is not None and _passed(newest, until - length_of(run, phase.slot)) >= until

    def _summary(self, run: Run, phase: Phase, uncomparable: str) -> str:
        length = duration_text(length_of(run, phase.slot))
        answered = phase.guard.count("side", "answered")
        served = f"as a {phase.slot} for {length} it answered {answered} requests"
        if not answered:
            served = (
                f"as a {phase.slot} for {length} it got no requests, so nothing was measured of how it works"
            )
        if phase.blocks:
            return f"{served}; {phase.beside('the live version')}"
        few = f"fewer than {MINIMUM_ROWS} of its rows had outcomes that were due: its loss was not compared"
        return f"{served}; {uncomparable or few}"


def _passed(newest: datetime | None, start: datetime) -> datetime:
    """How far event time has passed. A clock that was set back undoes nothing."""
    return start if newest is None else max(start, newest)


def _in_order(parts: list[PairedLosses]) -> PairedLosses:
    """Rows of several generations, by event time."""
    times = np.concatenate([one.times for one in parts])
    order = np.argsort(times, kind="stable")
    return PairedLosses(
        times[order],
        np.concatenate([one.losses for one in parts])[order],
        np.concatenate([one.former_losses for one in parts])[order],
    )
