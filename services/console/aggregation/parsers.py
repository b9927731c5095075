"""Verdicts, decisions, runs and releases, as the services tell them, read into facts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.console.aggregation.fields import mapping, mappings, moment, number, text, texts, whole
from services.console.aggregation.view_models import (
    Decision,
    Release,
    Run,
    Score,
    UnacknowledgedGroup,
    Verdict,
)

SCORES_SHOWN = 3


def verdicts_of(body: Any) -> tuple[Verdict, ...]:
    """Drift's verdicts, in its order: newest first."""
    return tuple(_verdict(item) for item in mappings(body, "verdicts") if text(item, "verdict_id"))


def decisions_of(body: Any) -> tuple[Decision, ...]:
    """Retraining's decisions, in its order: newest first."""
    return tuple(_decision(item) for item in mappings(body, "decisions") if text(item, "cause_key"))


def unacknowledged_of(body: Any) -> tuple[UnacknowledgedGroup, ...]:
    """What nobody has acknowledged, in retraining's order."""
    groups = (
        UnacknowledgedGroup(
            model=text(item, "model"),
            concern=text(item, "concern"),
            count=whole(item, "count"),
            since=moment(item, "since"),
            newest_key=text(item, "newest_key"),
            newest_at=moment(item, "newest_at"),
            sentence=text(item, "sentence"),
        )
        for item in mappings(body, "unacknowledged")
    )
    return tuple(group for group in groups if group.newest_key and group.count > 0)


def runs_of(*bodies: Any) -> tuple[Run, ...]:
    """Runs of several answers, newest first, each once."""
    found = {run.run_id: run for body in bodies for run in map(_run, mappings(body, "runs")) if run.run_id}
    return tuple(sorted(found.values(), key=lambda run: _order(run), reverse=True))


def releases_of(model: str, body: Any) -> tuple[Release, ...]:
    """The release log of a model, oldest first; an entry without a number is left out."""
    found = [_release(model, item) for item in mappings(body, "releases")]
    return tuple(sorted((one for one in found if one.generation > 0), key=lambda one: one.generation))


def _order(run: Run) -> tuple[float, str]:
    return (run.created_at.timestamp() if run.created_at else 0.0, run.run_id)


def _verdict(item: Mapping[str, Any]) -> Verdict:
    scores = [_score(score) for score in mappings(item, "scores")]
    # Data checks have thresholds of their own kind: among sound ones they say little, so they come last.
    scores.sort(key=lambda one: (one.exceeded, one.signal != "data", one.ratio or 0.0), reverse=True)
    return Verdict(
        verdict_id=text(item, "verdict_id"),
        model=text(item, "model"),
        version=text(item, "version"),
        generation=whole(item, "generation"),
        detector=text(item, "detector"),
        state=text(item, "state"),
        window_start=moment(item, "window_start"),
        window_end=moment(item, "window_end"),
        rows=whole(item, "rows"),
        outcomes=whole(item, "outcomes"),
        scores=tuple(scores[:SCORES_SHOWN]),
        scores_left_out=max(0, len(scores) - SCORES_SHOWN),
        top_drifted_features=texts(item, "top_drifted_features"),
        loss=number(item, "loss"),
        reference_loss=number(item, "reference_loss"),
        explanation=text(item, "explanation"),
        reached_at=moment(item, "reached_at"),
    )


def _score(item: Mapping[str, Any]) -> Score:
    value, threshold = number(item, "value") or 0.0, number(item, "threshold") or 0.0
    return Score(
        signal=text(item, "signal"),
        feature=text(item, "feature", 80),
        method=text(item, "method", 80),
        value=value,
        threshold=threshold,
        exceeded=item.get("exceeded") is True,
        ratio=value / threshold if threshold > 0 else None,
    )


def _decision(item: Mapping[str, Any]) -> Decision:
    acknowledged = mapping(item.get("acknowledged"))
    return Decision(
        cause_key=text(item, "cause_key"),
        model=text(item, "model"),
        verb=text(item, "verb"),
        code=text(item, "code"),
        sentence=text(item, "sentence"),
        reason=text(item, "reason"),
        source=text(item, "source"),
        cause_state=text(item, "cause_state"),
        run_id=text(item, "run_id"),
        event_time=moment(item, "event_time"),
        decided_at=moment(item, "decided_at"),
        needs_acknowledgement=item.get("needs_acknowledgement") is True,
        acknowledged_by=text(acknowledged, "actor"),
        acknowledged_at=moment(acknowledged, "at"),
        acknowledged_note=text(acknowledged, "note"),
    )


def _run(item: Mapping[str, Any]) -> Run:
    gate = mapping(item.get("gate"))
    passed = gate.get("passed")
    return Run(
        run_id=text(item, "run_id"),
        cause_key=text(item, "cause_key"),
        model=text(item, "model"),
        state=text(item, "state"),
        code=text(item, "code"),
        message=text(item, "message"),
        version=text(item, "version"),
        champion=text(item, "champion"),
        gate=text(gate, "sentence"),
        gate_passed=passed if isinstance(passed, bool) else None,
        gate_digest=text(item, "gate_digest"),
        event_time=moment(item, "event_time"),
        created_at=moment(item, "created_at"),
        moved_at=moment(item, "moved_at"),
        ended_at=moment(item, "ended_at"),
    )


def _release(model: str, item: Mapping[str, Any]) -> Release:
    return Release(
        model=model,
        generation=whole(item, "generation"),
        version=text(item, "version"),
        reason=text(item, "reason"),
        actor=text(item, "actor"),
        note=text(item, "note"),
        run_id=text(item, "run_id"),
        released_at=moment(item, "released_at"),
    )
