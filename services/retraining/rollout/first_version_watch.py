"""Compares served versions with those before them for as long as they are served: with the first one and the former champion.

A lasting loss above that of the first version is a cause of its own; one above the former champion's is told.

A version that was promoted in a bad week has that week's loss as its reference, and drift compares it with that: it may be
healthy by its own reference and worse than the version it all began with. The first version never changes, so this standard
does not move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from services.retraining.cause import Cause, external_key
from services.retraining.isolated_models import OpenModel
from services.retraining.ledger.first_comparisons import FirstComparison
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Recorded
from services.retraining.policy.limits import LIMITS
from services.retraining.rollout.stored_model import check_comparable, stored_model
from services.retraining.rollout.watched_rows import paired_losses
from services.retraining.watch.blocks import BLOCKS_PER_WATCH, Block
from services.retraining.watch.first_evidence import block_length, blocks_between_alarms, split_blocks
from services.retraining.watch.improvable import KnownVersions
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import short
from shared.contracts.release import Release
from shared.contracts.retraining_spec import WorseThanFirstTrigger
from shared.errors import DependencyUnavailable, HomeostatError
from shared.models.losses import in_unit
from shared.models.signed_versions.installation_keys import Keys
from shared.observability.logs import get_logger
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore

_log = get_logger(__name__)

# Rows of one look that are scored; of more, an evenly spread part.
MAX_ROWS = 20_000
_DEFAULT = WorseThanFirstTrigger(when="worse_than_first")


class FirstVersionWatch:
    """Counts the rows of judged windows once. The ledger holds all state, so a restart changes nothing.

    Only one process looks at a time (the leader). Two that do by mistake find the same alarms, which have the same keys.
    """

    def __init__(
        self,
        store: ModelStore,
        lake: Lake,
        keys: Keys,
        ledger: Ledger,
        handle: Callable[[Cause], Recorded],
        *,
        open_model: OpenModel,
        max_rows: int = MAX_ROWS,
    ) -> None:
        """`handle` records a cause and decides on it."""
        self._store = store
        self._lake = lake
        self._keys = keys
        self._ledger = ledger
        self._handle = handle
        self._open_model = open_model
        self._max_rows = max_rows
        self._problems: dict[str, str] = {}
        self._done: dict[str, str] = {}  # the newest verdict of each model of which nothing is left to count

    def look(self, model: str) -> list[Recorded]:
        """Count what was judged since the last look, at most the blocks of a watch; the decisions on its alarms.

        1. the newest judged window of the served generation: until its end, outcomes are due and data faults known
        2. score its rows with the first version, in blocks of event time, without the rows of windows with a data fault; and with
        the former champion, if it is another one and can be scored
        3. add each block to the evidence   4. an alarm is a cause; then the evidence starts anew, unless a
        limit or an open run holds it back: then it is a cause again with each block, until that has ended
        Raises HomeostatError while a store is unavailable, or if the first version cannot be scored on these rows. They are
        scored again together with later ones, and left out once there are more than one look counts.
        """
        judged = self._ledger.latest_verdict_with_loss(model)
        if judged is None or self._done.get(model) == judged.verdict_id:
            return []
        served, first = self._store.live_release(model), self._store.release(model, 1)
        if served is None or served.generation != judged.generation or served.version == first.version:
            self._done[model] = judged.verdict_id
            return []
        loop = self._store.manifest(model, served.version).loop
        known = self._ledger.first_comparisons.find(model, served.generation)
        if known is None:
            known = FirstComparison(
                model, served.generation, judged.window_start, blocks_between_alarms(loop)
            )
            self._ledger.first_comparisons.put(
                known, known
            )  # later windows count from here, if this look fails
        length = block_length(loop)
        parts = min(BLOCKS_PER_WATCH, max(0, (judged.window_end - known.rows_until) // length))
        until, is_last = known.rows_until + parts * length, parts < BLOCKS_PER_WATCH
        if known.versions is None:
            metric = loop.require_performance().metric.name
            former = self._former(served, first)
            known = replace(
                known, versions=KnownVersions(metric, first.version, former.version if former else "")
            )
        try:
            blocks, rows = self._blocks(first, served, loop, known.rows_until, until) if parts else ([], 1)
        except DependencyUnavailable:
            raise
        except HomeostatError:
            if is_last:
                self._done[model] = judged.verdict_id
            else:
                self._ledger.first_comparisons.put(known, replace(known, rows_until=until))
            raise
        # Few rows are read again with later ones.
        leave = not rows or (not blocks and not is_last)
        of_former = self._blocks_of_former(known, blocks, served, loop)
        decided = self._count(
            known, blocks, of_former, until if leave else known.rows_until, served, first, loop
        )
        if is_last:
            self._done[model] = judged.verdict_id
        return decided

    def _blocks(
        self, first: Release, served: Release, loop: LoopSpec, begin: datetime, until: datetime
    ) -> tuple[list[Block], int]:
        """The blocks between two event times, and the number of rows they may come from."""
        return self._scored(first.version, "the first version", served, loop, begin, until)

    def _blocks_of_former(
        self, known: FirstComparison, blocks: Sequence[Block], served: Release, loop: LoopSpec
    ) -> list[Block]:
        """Blocks of the former champion up to the end of those of the first version. What it cannot be scored on is left out: no
        decision depends on it."""
        former = known.versions.former if known.versions else ""
        if not former or not blocks:
            return []
        try:
            return self._scored(
                former, "the former champion", served, loop, known.rows_until, blocks[-1].end
            )[0]
        except DependencyUnavailable:
            raise
        except HomeostatError as error:
            if self._problems.get(served.model) != str(error):
                _log.warning("former_champion_not_compared", model=served.model, problem=str(error))
            self._problems[served.model] = str(error)
            return []

    def _former(self, served: Release, first: Release) -> Release | None:
        """The live release before the served one with another version than that and the first one."""
        for generation in range(served.generation - 1, 1, -1):
            release = self._store.release(served.model, generation)
            if release.slot == "live" and release.version != served.version:
                return None if release.version == first.version else release
        return None

    def _scored(
        self, version: str, name: str, served: Release, loop: LoopSpec, begin: datetime, until: datetime
    ) -> tuple[list[Block], int]:
        model = served.model
        check_comparable(version, self._store.manifest(model, version).loop, loop)
        doing = f"{name} was compared with the served one"
        with stored_model(self._store, self._keys, model, version, self._open_model, doing) as opened:
            pairs = paired_losses(self._lake, opened, loop, served.generation, begin, until, self._max_rows)
        sound = _outside(pairs.times, self._ledger.faulty_windows(model))
        times, losses, first_losses = pairs.times[sound], pairs.losses[sound], pairs.former_losses[sound]
        blocks = split_blocks(begin, until, block_length(loop), times, losses, first_losses)
        return blocks, int(sound.sum())

    def _count(
        self,
        known: FirstComparison,
        blocks: Sequence[Block],
        of_former: Sequence[Block],
        until: datetime,
        served: Release,
        first: Release,
        loop: LoopSpec,
    ) -> list[Recorded]:
        trigger = self._trigger(loop)
        metric = loop.require_performance().metric.name
        # Losses of rmse are squares.
        allowed = (1 + trigger.tolerance) ** (2 if metric == "rmse" else 1)
        new = replace(known, threshold=blocks_between_alarms(loop), rows_until=until)
        assert new.versions is not None
        for block in of_former:
            new = replace(new, versions=new.versions.add(block, allowed, new.threshold))
        done: list[Recorded] = []
        for block in blocks:
            new = replace(new, evidence=new.evidence.add(block, allowed), rows_until=block.end)
            if new.evidence.value >= new.threshold:
                # Recorded before the position is: after a crash in between, the same blocks give the same key.
                decided = self._handle(_cause(new, served, first, loop))
                done.append(decided)
                # What a limit or another run holds back is a cause again with the next block.
                if decided.decision.reason_code not in LIMITS:
                    new = replace(new, evidence=new.evidence.restarted())
        if new != known:
            self._ledger.first_comparisons.put(known, new)
        return done

    def _trigger(self, loop: LoopSpec) -> WorseThanFirstTrigger:
        """That of the deployed loop.yaml; without one its default, since the evidence is shown all the same."""
        owner = self._ledger.project(loop.model)
        performance = (owner.loop if owner else loop).performance
        triggers = performance.retraining.triggers if performance else ()
        return next((one for one in triggers if isinstance(one, WorseThanFirstTrigger)), _DEFAULT)


def _cause(found: FirstComparison, served: Release, first: Release, loop: LoopSpec) -> Cause:
    evidence, metric = found.evidence, loop.require_performance().metric.name
    blocks = evidence.since_onset
    loss, first_loss = (in_unit(metric, one) for one in evidence.losses())
    return Cause(
        key=external_key(found.model, "comparison", str(found.generation), found.rows_until.isoformat()),
        model=found.model,
        source="comparison",
        reason=(
            f"since about {evidence.onset:%Y-%m-%d %H:%M} UTC the served version {short(served.version)} has been worse than the "
            f"first version {short(first.version)}: {metric} {loss:.4g}, of the first version {first_loss:.4g} on the same "
            f"{sum(block.rows for block in blocks)} rows in {len(blocks)} blocks"
        ),
        event_time=found.rows_until,
        about_version=served.version,
        change_since=evidence.onset,
    )


def _outside(
    times: npt.NDArray[np.int64], windows: Sequence[tuple[datetime, datetime]]
) -> npt.NDArray[np.bool_]:
    """Which event times (microseconds) lie in none of the windows."""
    outside = np.ones(times.size, dtype=bool)
    for start, end in windows:
        outside &= (times < start.timestamp() * 1e6) | (times >= end.timestamp() * 1e6)
    return outside
