"""What waits for a person, the most urgent first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from services.console.aggregation.models import disagreeing, released_at
from services.console.aggregation.view_models import (
    ActionItem,
    ComponentHealth,
    Model,
    Run,
    UnacknowledgedGroup,
)
from services.console.formatting import count, short

# A swap takes moments; a server that is still behind after this needs a look.
SWAP_TAKES = timedelta(seconds=30)
_CONCERNS = {
    "drift": "drift verdict",
    "data_fault": "fault verdict",
    "failed": "failed run",
    "refused": "refused run",
}


def action_items_of(
    parts: Sequence[ComponentHealth],
    models: Sequence[Model],
    runs: Sequence[Run],
    unacknowledged: Sequence[UnacknowledgedGroup],
    now: datetime,
) -> tuple[ActionItem, ...]:
    """Parts that are not well, servers behind the release log, runs that wait, and groups of decisions nobody has seen."""
    return (
        *_parts(parts),
        *_behind(models, now),
        *_waiting(runs),
        *_unseen(unacknowledged),
    )


def _parts(parts: Sequence[ComponentHealth]) -> Iterator[ActionItem]:
    titles = {"away": "is away", "trouble": "has trouble", "unclear": "cannot be understood"}
    for part in parts:
        # Who talks to Kafka is away: that is said already.
        if part.condition != "up" and (part.name, part.condition) != ("kafka", "unclear"):
            yield ActionItem(
                key=f"part-{part.name}-{part.condition}",
                kind="part",
                title=f"{part.name} {titles[part.condition]}",
                sentence=part.sentence,
                hint=part.hint,
                since=part.since,
                about=part.name,
            )


def _behind(models: Sequence[Model], now: datetime) -> Iterator[ActionItem]:
    for model in models:
        moment = released_at(model)
        if model.released is None or (moment is not None and abs(now - moment) < SWAP_TAKES):
            continue
        for served in disagreeing(model):
            serves = (
                f"serves generation {served.generation}, version {short(served.version)}"
                if served.version
                else "serves no version"
            )
            yield ActionItem(
                key=f"behind-{model.name}-{served.server}-{model.released.generation}",
                kind="model",
                title=f"{model.name} is not served as released",
                sentence=f"{served.server} {serves}; the release log says generation {model.released.generation}, "
                f"version {short(model.released.version)}."
                + (f" {served.problem}" if served.problem else ""),
                hint="mend what it names, or roll back",
                since=moment,
                about=model.name,
                model=model.name,
            )


def _waiting(runs: Sequence[Run]) -> Iterator[ActionItem]:
    for run in runs:
        if not run.waits:
            continue
        suggested = run.state == "suggested"
        yield ActionItem(
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


def _unseen(groups: Sequence[UnacknowledgedGroup]) -> Iterator[ActionItem]:
    for group in groups:
        thing = _CONCERNS.get(group.concern, "decision")
        since = f"Since {group.since:%Y-%m-%d}, event time; the" if group.since else "The"
        several = f"{since} newest: " if group.count > 1 else ""
        yield ActionItem(
            key=f"unacknowledged-{group.model}-{group.concern}",
            kind="decision",
            title=f"{group.model}: {count(group.count, thing)}",
            sentence=f"{several}{group.sentence}",
            since=group.newest_at,
            acts=("acknowledge",),
            about=group.newest_key,
            model=group.model,
            concern=group.concern,
            count=group.count,
        )
