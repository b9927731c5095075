"""What a person has to act on, most urgent first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from services.console.aggregation.console_snapshot import ActionItem, ComponentHealth, Model
from services.console.aggregation.responses import Run, UnacknowledgedGroup
from services.console.formatting import clock, count, short

# A server may be behind the release log for as long as a swap takes.
MAXIMUM_SWAP_TIME = timedelta(seconds=30)
_TITLES = {
    "unreachable": "is unreachable",
    "degraded": "is degraded",
    "unknown": "returns invalid responses",
    "refused": "refuses the console",
}
_ISSUES = {
    "drift": "drift verdict",
    "data_fault": "data fault",
    "failed": "failed run",
    "refused": "refused run",
}


def action_items_of(
    components: Sequence[ComponentHealth],
    models: Sequence[Model],
    runs: Sequence[Run],
    unacknowledged: Sequence[UnacknowledgedGroup],
    now: datetime,
) -> tuple[ActionItem, ...]:
    """Components that are not up, servers behind the release log, releases that stay though worse, runs, decisions.

    Runs are those that await approval, decisions the unacknowledged ones.
    """
    return (
        *_components(components),
        *_behind_release_log(models, now),
        *_worse_releases(models),
        *(_run(run) for run in runs if run.awaits_approval),
        *(_decisions(group) for group in unacknowledged),
    )


def _components(components: Sequence[ComponentHealth]) -> Iterator[ActionItem]:
    for component in components:
        # The state of Kafka is unknown if its clients do not respond, and those are items already.
        if component.condition != "up" and (component.name, component.condition) != ("kafka", "unknown"):
            yield ActionItem(
                key=f"component-{component.name}-{component.condition}",
                kind="component",
                title=f"{component.name} {_TITLES[component.condition]}",
                sentence=component.sentence,
                hint=component.hint,
                since=component.since,
                about=component.name,
            )


def _behind_release_log(models: Sequence[Model], now: datetime) -> Iterator[ActionItem]:
    for model in models:
        released = model.released
        if released is None or abs(now - released.released_at) < MAXIMUM_SWAP_TIME:
            continue
        for served in model.servers:
            if served.agrees is not False:
                continue
            serves = (
                f"generation {served.generation}, version {short(served.version)}"
                if served.version
                else "no version"
            )
            yield ActionItem(
                key=f"behind-{model.name}-{served.server}-{released.generation}",
                kind="model",
                title=f"{model.name} is not served as released",
                sentence=f"{served.server} serves {serves}; the release log says generation {released.generation}, "
                f"version {short(released.version)}." + (f" {served.problem}" if served.problem else ""),
                hint="fix the reported problem, or roll back",
                since=released.released_at,
                about=model.name,
                model=model.name,
            )


def _worse_releases(models: Sequence[Model]) -> Iterator[ActionItem]:
    """Releases that are worse than the version before them, and that the loop does not, or cannot, take back."""
    for model in models:
        watch = model.watch
        if watch is None or watch.state not in ("worse", "failed"):
            continue
        yield ActionItem(
            key=f"watch-{model.name}-{watch.generation}",
            kind="model",
            title=f"{model.name}: the served version is worse than the one before it",
            sentence=watch.reason,
            hint="roll back"
            if watch.state == "worse"
            else "restore the version before it, or roll back further",
            about=model.name,
            model=model.name,
        )


def _run(run: Run) -> ActionItem:
    suggested = run.state == "suggested"
    return ActionItem(
        key=f"run-{run.run_id}-{run.state}",
        kind="run",
        title=f"{run.model}: {'a retraining is suggested' if suggested else 'a new version awaits approval'}",
        sentence=run.gate.reason if run.gate and not suggested else run.reason,
        hint=f"without an answer, the run ends at {clock(run.approval_expires_at)}"
        if run.approval_expires_at
        else "",
        since=run.state_changed_at,
        actions=("approve", "reject"),
        about=run.run_id,
        state=run.state,
        gate_digest=run.gate_digest,
        model=run.model,
    )


def _decisions(group: UnacknowledgedGroup) -> ActionItem:
    several = f"Since {group.since:%Y-%m-%d}, event time; the newest: " if group.count > 1 else ""
    return ActionItem(
        key=f"unacknowledged-{group.model}-{group.issue}",
        kind="decision",
        title=f"{group.model}: {count(group.count, _ISSUES.get(group.issue, 'decision'))}",
        sentence=f"{several}{group.reason}",
        since=group.newest_at,
        actions=("acknowledge",),
        about=group.newest_key,
        model=group.model,
        issue=group.issue,
        count=group.count,
    )
