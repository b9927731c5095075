"""Starts the slot of a phase, and looks often at how the challenger works there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.phases import Outcome, Phase, PhaseSlot
from services.retraining.ledger.records import Run
from services.retraining.phases.inference_servers import ReadServers
from services.retraining.phases.phase_end import PhaseEnd
from services.retraining.phases.slot_counters import ServerCounters, read_counters
from services.retraining.rollout.release_checks import SlotTaken
from services.retraining.rollout.releaser import Releaser
from services.retraining.runs.promotion import promoted_by
from services.retraining.watch.operational_guard import describe, observe
from shared.contracts.manifest import short
from shared.contracts.release import Release, live, slots
from shared.errors import Conflict, IntegrityError, NotFound
from shared.observability.logs import get_logger
from shared.stores.model_store import ModelStore

_log = get_logger(__name__)
SLOT_OF: Final[dict[str, PhaseSlot]] = {"shadowing": "shadow", "canarying": "canary"}
# A challenger that a server cannot load, or that nobody can guard, is ended after this long.
PATIENCE_SECONDS: Final = 60.0
# One that no server has in memory yet: inference tries it in a process of its own, by default for two minutes, and then loads it.
LOADING_SECONDS: Final = 300.0


class PhaseGuard:
    """All state but the patience is in the ledger and the release log, so a restart changes nothing."""

    def __init__(
        self,
        ledger: Ledger,
        store: ModelStore,
        releaser: Releaser,
        end: PhaseEnd,
        read_servers: ReadServers,
        clock: Callable[[], datetime],
        *,
        verify: Callable[[str, str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`verify(model, version)` verifies a stored version before it is served."""
        self._ledger = ledger
        self._store = store
        self._releaser = releaser
        self._end = end
        self._read_servers = read_servers
        self._clock = clock
        self._verify = verify
        self._monotonic = monotonic
        self._since: dict[tuple[str, str], float] = {}  # when a phase was last seen served, by run and slot

    def look(self, run_id: str) -> Phase | None:
        """Begin, continue or end the phase of a run; None if the run is in none.

        1. the phase is in the ledger, with the counters of all servers, before the slot is in the release log
        2. a decided outcome is carried out   3. another version is live, or a person ended the slot: so ends the run
        4. the counters of the servers are compared: worse, or not served for long: the challenger is refused
        Raises HomeostatError while a store is unavailable; then the next look continues.
        """
        run = self._ledger.run(run_id)
        slot = SLOT_OF.get(run.state)
        if slot is None:
            return None
        phase = self._ledger.phases.find(run_id, slot) or self._begin(run, slot)
        if phase.outcome:
            self._end.carry_out(run, phase)
            return phase
        log = self._store.releases(run.model)
        served = live(log)
        if served is None or served.version != run.champion:
            now = short(served.version) if served else "nothing"
            return self._end.decide(
                run,
                phase,
                "champion_changed",
                f"it was compared with {short(run.champion)}, but {now} is live now",
            )
        try:
            if (ended := self._ended_by(log, run, slot)) is not None:
                return self._end.decide(run, phase, "withdrawn", ended)
        except (Conflict, IntegrityError, NotFound) as error:
            outcome: Outcome = "champion_changed" if isinstance(error, Conflict) else "operational"
            if isinstance(error, SlotTaken):
                outcome = "slot_taken"
            return self._end.decide(run, phase, outcome, f"the {slot} could not be started: {error}")
        return self._compare(run, phase)

    def _begin(self, run: Run, slot: PhaseSlot) -> Phase:
        performance = run.loop.require_performance()
        servers, _ = self._counters(run, slot)
        begun = Phase(
            run_id=run.run_id,
            slot=slot,
            model=run.model,
            version=run.version,
            champion=run.champion,
            metric=performance.metric.name,
            tolerance=run.loop.rollout.tolerance,
            began_at=self._clock(),
        )
        guard = observe(
            begun.guard,
            {server: one.counters for server, one in servers.items()},
            slot=slot,
            latency_ratio=performance.gate.maximum_latency_ratio,
        )
        phase = self._ledger.phases.add_guard(self._ledger.phases.begin(begun), guard)
        _log.info("phase_began", run_id=run.run_id, model=run.model, slot=slot, version=run.version)
        return phase

    def _ended_by(self, log: list[Release], run: Run, slot: PhaseSlot) -> str | None:
        """Start the slot, if that was not done. Who ended it, if a person did. Raises Conflict, IntegrityError, NotFound."""
        started = [entry for entry in log if (entry.run_id, entry.reason) == (run.run_id, slot)]
        if not started:
            actor = promoted_by(run, self._ledger.answers(run.run_id))
            self._verify(run.model, run.version)
            self._releaser.start(
                run.model,
                slot,
                version=run.version,
                share=share_of(run, slot),
                actor=actor,
                note=run.reason,
                champion=run.champion,
                run_id=run.run_id,
                cause_key=run.cause_key,
            )
            return None
        # A person may change its share meanwhile: that is an entry of the same version, and the phase goes on.
        current = slots(log).get(slot)
        if current is not None and current.version == run.version:
            return None
        after = [entry for entry in log if entry.slot == slot and entry.generation > started[-1].generation]
        by = next((entry for entry in after if entry.version != run.version or entry.share == 0), after[-1])
        note = f": {by.note}" if by.note else ""
        return f"{by.actor} ended the {slot} by a {by.reason} in generation {by.generation}{note}"

    def _compare(self, run: Run, phase: Phase) -> Phase:
        servers, problems = self._counters(run, phase.slot)
        guard = observe(
            phase.guard,
            {server: one.counters for server, one in servers.items()},
            slot=phase.slot,
            latency_ratio=run.loop.require_performance().gate.maximum_latency_ratio,
        )
        if guard != phase.guard:
            phase = self._ledger.phases.add_guard(phase, guard)
        if phase.guard.is_bad:
            return self._end.decide(run, phase, "operational", describe(phase.guard, phase.slot))
        if reason := self._unserved(run, phase, servers, problems):
            return self._end.decide(run, phase, "operational", reason)
        return phase

    def _unserved(
        self, run: Run, phase: Phase, servers: Mapping[str, ServerCounters], problems: Mapping[str, str]
    ) -> str:
        """Why the challenger is not served, or cannot be guarded, for longer than it may; empty if it is.

        A server that cannot be read is no reason while another one serves the challenger: that is compared there. If none does,
        those that were read before may be the ones that do.
        """
        key = (run.run_id, phase.slot)
        now = self._monotonic()
        lost = {server: text for server, text in problems.items() if server in phase.guard.seen}
        failing = [server for server, one in servers.items() if one.load_failed]
        if not failing and any(one.serves for one in servers.values()):
            self._since[key] = now
            return ""
        is_loading = bool(servers) and not (failing or lost)
        patience = LOADING_SECONDS if is_loading else PATIENCE_SECONDS
        if now - self._since.setdefault(key, now) < patience:
            return ""
        if failing:
            what = f"{failing[0]} cannot load it; its /status says why"
        elif is_loading:
            what = "no server has it in memory"
        else:
            what = "; ".join(text for text in (lost or problems).values())
        return f"the {phase.slot} could not be guarded for {patience:g} s: {what}"

    def _counters(self, run: Run, slot: PhaseSlot) -> tuple[dict[str, ServerCounters], dict[str, str]]:
        found, problems = {}, {}
        for scrape in self._read_servers():
            if scrape.problem:
                problems[scrape.server] = scrape.problem
            else:
                found[scrape.server] = read_counters(
                    scrape.text, model=run.model, slot=slot, version=run.version, live=run.champion
                )
        return found, problems


def share_of(run: Run, slot: PhaseSlot) -> float:
    """The share of requests: a shadow gets a copy of all of them."""
    canary = run.loop.rollout.canary
    return canary.share if slot == "canary" and canary is not None else 1.0


def length_of(run: Run, slot: PhaseSlot) -> timedelta:
    """How long the phase lasts, in event time."""
    canary = run.loop.rollout.canary
    return canary.duration if slot == "canary" and canary is not None else run.loop.rollout.shadow
