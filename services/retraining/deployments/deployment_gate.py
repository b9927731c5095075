"""Compares a version that a person deploys with the live one, by the gate of a run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.retraining.dependencies import Dependencies
from services.retraining.runs.contradicted_rows import SENDERS, excess_contradictions
from services.retraining.runs.cut_offs import cut_offs
from services.retraining.runs.data_snapshot import read_rows
from services.retraining.runs.evaluation import compare
from services.retraining.runs.gate import GateResult, compared
from services.retraining.runs.rolled_back_rows import without_rows_before_rollback
from services.retraining.snapshots.pin import pin_lake
from shared.contracts.manifest import REFERENCE, Manifest, short
from shared.errors import Conflict, UnservableModel
from shared.models.signed_versions.verification import verify_version


@dataclass(frozen=True)
class Judged:
    """The gate's result, if there was one, and what a person should know about it."""

    result: GateResult | None
    notes: tuple[str, ...] = ()


def judge(deps: Dependencies, manifest: Manifest, live: str) -> Judged:
    """Compare a stored version with the live one, on the newest `gate.holdout` of rows that neither was trained on.

    Without enough such rows, or where the live version cannot be scored, there is no result and a note says why. Raises
    Conflict where a run would end too: too many outcomes contradict each other, or a rollback left too few rows; else
    DependencyUnavailable, IntegrityError, NotFound.
    """
    if manifest.loop.performance is None:
        return Judged(None)
    unlogged = [feature.name for feature in manifest.features if feature.is_unlogged]
    if unlogged:
        return Judged(
            None, (f"the gate was not applied: the lake has no values of {', '.join(unlogged)} (personal)",)
        )
    rows, after_rollback = _rows(deps, manifest, deps.store.manifest(manifest.model, live))
    minimum = manifest.loop.performance.gate.minimum_rows
    contradictions = excess_contradictions(rows[SENDERS], manifest.loop) if rows is not None else ""
    if contradictions:
        raise _cannot_judge(manifest, contradictions, "find out which sender is right")
    if rows is None or rows.num_rows < minimum:
        count = rows.num_rows if rows is not None else 0
        if after_rollback:
            text = (
                f"{count} rows with outcomes that neither version was trained on are newer than the release that was rolled "
                f"back, and gate.minimum_rows is {minimum}"
            )
            raise _cannot_judge(manifest, text, "wait for more rows")
        return Judged(
            None,
            (
                f"the gate was not applied: the lake has {count} rows with outcomes that neither version was trained on in the "
                f"last gate.holdout, and gate.minimum_rows is {minimum}",
            ),
        )
    try:
        result = _compare(deps, manifest, live, rows.drop_columns([SENDERS]))
    except UnservableModel as error:
        return Judged(
            None, (f"the gate was not applied, because the live version cannot be scored: {error}",)
        )
    note = (
        ""
        if compared(result.to_json())
        else "the live version cannot be compared on these rows, so no gain was required"
    )
    return Judged(result, (note,) if note else ())


def _cannot_judge(manifest: Manifest, why: str, remedy: str) -> Conflict:
    return Conflict(
        f"the gate cannot judge version {short(manifest.version)}: {why}",
        hint=f"{remedy}, or give a reason to release it without the gate: homeostat deploy … --force REASON",
    )


def _rows(deps: Dependencies, manifest: Manifest, live: Manifest) -> tuple[pa.Table | None, bool]:
    """The rows, and whether a rollback left some out; None if the lake has none that neither version was trained on.

    Outcomes of training rows became known up to outcome.delay later.
    """
    spec = manifest.loop
    faulty = deps.ledger.faulty_windows(spec.model) if deps.settings.bad_windows else []
    whole = pin_lake(deps.lake, spec.model, faulty, deps.clock())
    if whole is None:
        return None, False
    pin = without_rows_before_rollback(whole, spec, deps.ledger.watches.of_model(spec.model))
    cut = cut_offs(spec, datetime.fromisoformat(pin.watermark))
    delay = spec.require_performance().outcome.delay
    known = [one.origin.trained_until for one in (manifest, live)]
    start = max([cut.holdout_from, *(_time(until) + delay for until in known if until)])
    if start >= cut.settled:
        return None, False
    left_out = pin != whole and datetime.fromisoformat(pin.faulty[-1][1]) > start
    return read_rows(deps.lake, spec, pin, start, cut.settled), left_out


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _compare(deps: Dependencies, manifest: Manifest, live: str, rows: pa.Table) -> GateResult:
    with tempfile.TemporaryDirectory(prefix="homeostat-") as temporary:
        folders = Path(temporary) / "new", Path(temporary) / "live"
        versions = manifest.version, live
        verified = []
        for folder, version in zip(folders, versions, strict=True):
            deps.store.get_version(manifest.model, version, folder)
            verified.append(verify_version(folder, version=version, verifying_key=deps.keys.verifying))
        return compare(
            verified[0].loop,
            rows,
            version=manifest.version,
            challenger=folders[0] / verified[0].model_file,
            champion_version=live,
            champion=folders[1] / verified[1].model_file,
            champion_spec=verified[1].loop,
            calls=deps.settings.latency_calls,
            open_model=deps.open_model,
            reference=pq.read_table(folders[0] / REFERENCE),
        )
