"""What waits for a person, the most urgent first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cli.console.facts import Decision, Model, Need, Part, Run
from cli.console.models import disagreeing, released_at
from cli.console.wording import short

# A swap takes moments; a server that is still behind after this needs a look.
SWAP_TAKES = timedelta(seconds=30)


def needs_of(
    parts: Sequence[Part],
    models: Sequence[Model],
    runs: Sequence[Run],
    decisions: Sequence[Decision],
    now: datetime,
) -> tuple[Need, ...]:
    """Parts that are not well, servers behind the release log, runs that wait, decisions nobody has seen."""
    return (
        *_parts(parts),
        *_behind(models, now),
        *_waiting(runs),
        *_unseen(decisions),
    )


def _parts(parts: Sequence[Part]) -> Iterator[Need]:
    titles = {"away": "is away", "trouble": "has trouble", "unclear": "cannot be understood"}
    for part in sorted(parts, key=lambda part: not part.is_core):
        # Who talks to Kafka is away: that is said already.
        if part.condition != "up" and (part.name, part.condition) != ("kafka", "unclear"):
            yield Need(
                key=f"part-{part.name}-{part.condition}",
                kind="part",
                title=f"{part.name} {titles[part.condition]}",
                sentence=part.sentence,
                remedy=part.remedy,
                since=part.since,
                about=part.name,
            )


def _behind(models: Sequence[Model], now: datetime) -> Iterator[Need]:
    for model in models:
        moment = released_at(model)
        if model.released is None or (moment is not None and now - moment < SWAP_TAKES):
            continue
        for served in disagreeing(model):
            serves = (
                f"serves generation {served.generation}, version {short(served.version)}"
                if served.version
                else "serves no version"
            )
            yield Need(
                key=f"behind-{model.name}-{served.server}-{model.released.generation}",
                kind="model",
                title=f"{model.name} is not served as released",
                sentence=f"{served.server} {serves}; the release log says generation {model.released.generation}, "
                f"version {short(model.released.version)}."
                + (f" {served.problem}" if served.problem else ""),
                remedy="mend what it names, or roll back",
                since=moment,
                about=model.name,
                model=model.name,
            )


def _waiting(runs: Sequence[Run]) -> Iterator[Need]:
    for run in runs:
        if not run.waits:
            continue
        suggested = run.state == "suggested"
        yield Need(
            key=f"run-{run.run_id}-{run.state}",
            kind="run",
            title=f"{run.model}: a retraining is suggested"
            if suggested
            else f"{run.model}: a new version waits for your word",
            sentence=run.message if suggested else (run.gate or run.message),
            since=run.moved_at,
            acts=("approve", "reject"),
            about=run.run_id,
            state=run.state,
            model=run.model,
        )


def _unseen(decisions: Sequence[Decision]) -> Iterator[Need]:
    for decision in decisions:
        if not decision.needs_acknowledgement or decision.acknowledged_by:
            continue
        said = decision.cause_state if decision.cause_state in ("drift", "fault") else "a run without success"
        yield Need(
            key=f"cause-{decision.cause_key}",
            kind="decision",
            title=f"{decision.model}: {said}",
            sentence=decision.reason if decision.cause_state in ("drift", "fault") else decision.sentence,
            since=decision.decided_at,
            acts=("acknowledge",),
            about=decision.cause_key,
            model=decision.model,
        )
