"""Watches releases: compares each with the version before it on the rows it answers, and takes it back if it is worse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from services.retraining.isolated_models import OpenModel
from services.retraining.ledger.watches import Watch, Watches, WatchState
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.release_checks import LOOP
from services.retraining.rollout.releaser import Releaser
from services.retraining.rollout.stored_model import check_comparable, stored_model
from services.retraining.rollout.watched_rows import paired_losses
from services.retraining.watch.blocks import MINIMUM_ROWS, close_blocks, last_edge
from shared.contracts.duration import duration_text
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import short
from shared.contracts.release import Release, live
from shared.errors import Conflict, IntegrityError, NotFound, ProjectError, UnservableModel
from shared.models.signed_versions.installation_keys import Keys
from shared.observability.logs import get_logger
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore

_log = get_logger(__name__)

# Rows that are scored at once; of more, an evenly spread part.
MAX_ROWS = 200_000
# A watch without new rows ends this long after its time by the clock, since event time does not pass without rows.
_CLOCK_SLACK = timedelta(days=1)
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)


class ReleaseWatch:
    """Looks at every watched release once per call. The ledger and the release log hold all state, so a restart changes nothing.

    Only one process looks at a time (the leader). Two that do by mistake still decide once: a watch leaves the state `watching`
    once, and the rollback is the one entry of the release log after the watched one.
    """

    def __init__(
        self,
        store: ModelStore,
        lake: Lake,
        keys: Keys,
        watches: Watches,
        releaser: Releaser,
        metrics: RetrainingMetrics,
        clock: Callable[[], datetime],
        *,
        open_model: OpenModel,
        verify: Callable[[str, str], None],
        max_rows: int = MAX_ROWS,
    ) -> None:
        """`verify(model, version)` verifies a stored version before it is released again."""
        self._store = store
        self._lake = lake
        self._keys = keys
        self._watches = watches
        self._releaser = releaser
        self._metrics = metrics
        self._clock = clock
        self._open_model = open_model
        self._verify = verify
        self._max_rows = max_rows
        self._unwatched: dict[str, int] = {}  # the live generation of models whose release is not watched

    def look(self, model: str) -> Watch | None:
        """Begin, continue or end the watch of the model's served release; None if it is not watched.

        1. the served release is a new version: it is watched, unless `rollout.watch` is 0
        2. a watch of an earlier release ends: superseded   3. a decided rollback is carried out
        4. rows whose outcomes are due are scored by the former version, in blocks of event time
        5. worse: roll back; time is over: keep
        Raises HomeostatError while a store is unavailable or the former version cannot be scored; then the next look continues.
        """
        served = self._store.live_release(model)
        if served is None:
            return None
        opened = self._watches.open_of(model)
        if any(watch.generation != served.generation for watch in opened):
            self._end_superseded(model, self._live_log(model))
        watch = self._watches.find(model, served.generation)
        if watch is None and self._unwatched.get(model) != served.generation:
            watch = self._begin(self._live_log(model))
            if watch is None:
                self._unwatched[model] = served.generation
        if watch is None or watch.state == "watching":
            return watch and self._continue(watch)
        return self._roll_back(watch) if watch.state == "rolling_back" else watch

    def _live_log(self, model: str) -> list[Release]:
        return [entry for entry in self._store.releases(model) if entry.slot == "live"]

    def _begin(self, log: list[Release]) -> Watch | None:
        served = log[-1]
        former = log[-2] if len(log) > 1 else None
        if former is None or served.reason == "rollback" or former.version == served.version:
            return None
        spec = self._spec(served.model, served.version)
        now = self._clock()
        if spec.performance is None or not spec.rollout.watch:
            return None
        if now - served.released_at > _duration(spec) + _CLOCK_SLACK:
            return None  # released long ago, before releases were watched
        watch = Watch(
            model=served.model,
            generation=served.generation,
            version=served.version,
            former=former.version,
            former_generation=former.generation,
            release_reason=served.reason,
            run_id=served.run_id,
            metric=spec.performance.metric.name,
            tolerance=spec.rollout.tolerance,
            began_at=now,
        )
        self._watches.begin(watch)
        _log.info("watch_began", model=watch.model, generation=watch.generation, former=watch.former)
        return watch

    def _end_superseded(self, model: str, log: list[Release]) -> None:
        for watch in self._watches.open_of(model):
            after = next((entry for entry in log if entry.generation > watch.generation), None)
            if after is None:
                continue
            if watch.state == "rolling_back" and _is_own_rollback(watch, after):
                self._finish_rollback(watch, after)
            else:
                by = (
                    f"generation {after.generation} was released meanwhile: a {after.reason} by {after.actor}"
                )
                self._end(watch, "superseded", "superseded", by)

    def _continue(self, watch: Watch) -> Watch:
        spec = self._spec(watch.model, watch.version)
        problem: UnservableModel | None = None
        # Read once: rows that come while others are scored are not measured yet, so the watch must not end by them.
        settled = self._settled(watch.model, spec)
        try:
            check_comparable(watch.former, self._spec(watch.model, watch.former), spec)
            try:
                watch = self._with_rows(watch, spec)
                watch = self._measure(watch, spec, settled)
            except UnservableModel as error:
                # It may pass: the model's process is also ended for the load and the memory of the moment.
                problem = error
        except (ProjectError, NotFound, IntegrityError) as error:
            return self._end(watch, "kept", "not_compared", f"the versions cannot be compared: {error}")
        if watch.state != "watching":
            return watch  # another process has decided meanwhile
        if watch.evidence.is_worse:
            return self._decide(watch)
        now = self._clock()
        late = now > watch.began_at + _duration(spec) + _CLOCK_SLACK
        if problem is not None:
            if not late:
                raise problem
            unscored = f"version {short(watch.former)} could not be scored before the watch's time was over: {problem}"
            return self._end(watch, "kept", "not_compared", unscored)
        if late or (watch.rows_until is not None and settled >= watch.rows_until):
            return self._keep(watch, spec)
        return watch

    def _with_rows(self, watch: Watch, spec: LoopSpec) -> Watch:
        """Find where the watched rows begin, once there are some."""
        if watch.rows_from is not None:
            return watch
        found = self._lake.generations(watch.model, watch.generation - 1)
        first = next((one.first for one in found if one.generation == watch.generation), None)
        if first is None:
            return watch
        # A row dated back does not make the watch begin before the version was released: the former one answered until then.
        before = self._lake.event_times(watch.model, watch.former_generation, first)
        last_before = before[-1].as_py() if len(before) else first
        start = min(max(first, last_before), self._clock())
        return self._watches.set_rows(watch, start, start + spec.rollout.watch)

    def _measure(self, watch: Watch, spec: LoopSpec, settled: datetime) -> Watch:
        start, end = watch.rows_from, watch.rows_until
        if start is None or end is None:
            return watch
        begin = watch.blocks[-1].end if watch.blocks else start
        until = last_edge(start, end, settled)
        if begin >= until:
            return watch
        doing = "the former version was compared with the served one"
        with stored_model(
            self._store, self._keys, watch.model, watch.former, self._open_model, doing
        ) as former:
            pairs = paired_losses(self._lake, former, spec, watch.generation, begin, until, self._max_rows)
        blocks = close_blocks(start, end, begin, until, pairs.times, pairs.losses, pairs.former_losses)
        return self._watches.add_blocks(watch, blocks) if blocks else watch

    def _decide(self, watch: Watch) -> Watch:
        reason = watch.beside(f"version {short(watch.former)}")
        if watch.release_reason != "promotion":
            what = f"version {short(watch.former)} was better, and a person released version {short(watch.version)}"
            return self._end(watch, "worse", "worse", f"{what}: {reason}")
        decided, _ = self._watches.change_state(
            watch, "rolling_back", reason_code="worse", reason=reason, now=self._clock()
        )
        return self._roll_back(decided) if decided.state == "rolling_back" else decided

    def _roll_back(self, watch: Watch) -> Watch:
        """Release the former version, unless the log has this rollback already. Called again after a crash."""
        note = f"worse than version {short(watch.former)} since its release: {watch.reason}"
        try:
            # Another release than the watched one may be live since this look began: then nothing is released.
            log = self._store.releases(watch.model)
            _check_watched(log, watch)
            done = self._releaser.roll_back(
                watch.model, LOOP, note, watch.former_generation, len(log), self._verify
            )
        except Conflict:
            self._end_superseded(watch.model, self._live_log(watch.model))
            return self._watches.find(watch.model, watch.generation) or watch
        except (NotFound, IntegrityError) as error:
            problem = f"{watch.reason}; version {short(watch.former)} cannot be released again: {error}"
            return self._end(watch, "failed", "former_unavailable", problem)
        return self._finish_rollback(watch, done)

    def _finish_rollback(self, watch: Watch, done: Release) -> Watch:
        return self._end(watch, "rolled_back", "worse", watch.reason, rollback_generation=done.generation)

    def _keep(self, watch: Watch, spec: LoopSpec) -> Watch:
        if watch.blocks:
            return self._end(watch, "kept", "not_worse", watch.beside(f"version {short(watch.former)}"))
        time = duration_text(spec.rollout.watch)
        few = f"fewer than {MINIMUM_ROWS} rows with outcomes in {time}: it was not compared with the version before it"
        return self._end(watch, "kept", "no_outcomes", few)

    def _end(self, watch: Watch, to: WatchState, reason_code: str, reason: str, **values: object) -> Watch:
        ended, is_new = self._watches.change_state(
            watch, to, reason_code=reason_code, reason=reason, now=self._clock(), **values
        )
        if is_new:
            self._metrics.watches.labels(watch.model, to).inc()
            log = _log.warning if to in ("rolled_back", "worse", "failed") else _log.info
            log(
                "watch_ended",
                model=watch.model,
                generation=watch.generation,
                version=watch.version,
                outcome=to,
                reason=reason,
            )
        return ended

    def _settled(self, model: str, spec: LoopSpec) -> datetime:
        """Event time until which outcomes are due. A row dated ahead counts as of now."""
        watermark = self._lake.latest_event_time(model) or _EARLIEST
        return min(watermark, self._clock()) - spec.require_performance().outcome.delay

    def _spec(self, model: str, version: str) -> LoopSpec:
        return self._store.manifest(model, version).loop


def _duration(spec: LoopSpec) -> timedelta:
    return spec.rollout.watch + spec.require_performance().outcome.delay


def _check_watched(log: list[Release], watch: Watch) -> None:
    """Raises Conflict unless the watched release is live; canaries and shadows beside it do not matter."""
    served = live(log)
    if served is None or served.generation != watch.generation:
        raise Conflict(f"generation {watch.generation} of {watch.model} is no longer live")


def _is_own_rollback(watch: Watch, entry: Release) -> bool:
    """Whether the live entry after the watched one is the rollback that its watch decided."""
    return entry.reason == "rollback" and entry.actor == LOOP and entry.version == watch.former
