"""The buttons. Each carries the text of its dialog and the request to send; the page's script adds the user. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

import orjson

from services.console.aggregation.console_snapshot import ActionItem, Model
from services.console.aggregation.responses import Decision
from services.console.formatting import clock, short, shorten
from shared.access.route_table import RouteTable
from shared.access.scope import Scope
from shared.contracts.release import Release, live

MAXIMUM_CHOICES = 20
_ROUTES = RouteTable.of("console")
_ONLY_RECORDED = "Records that you have seen it; nothing else happens."
_CONSEQUENCES = {
    ("approve", "suggested"): "The training starts. The new version requires a second approval.",
    ("approve", "waiting_for_approval"): "The new version is released and replaces the served one.",
    ("reject", "suggested"): "The run ends without training.",
    ("reject", "waiting_for_approval"): "The run ends; the served version stays.",
}


@dataclass(frozen=True)
class Button:
    """`subject` completes the label for screen readers; `data` are the attributes that the script reads.

    `scope` is the one of its route: without it, or a delegation for `model`, the button is disabled.
    """

    id: str
    label: str
    subject: str
    kind: str
    data: Mapping[str, str]
    scope: Scope
    model: str = ""


def action_buttons(item: ActionItem) -> list[Button]:
    """The buttons of an action item."""
    if item.kind == "run":
        return [replace(_answer_button(item, action), model=item.model) for action in item.actions]
    if item.kind != "decision":
        return []
    is_group = item.count > 1
    # Limited to what is shown: this decision and the older ones that were counted.
    group = {"and_older": True, "issue": item.issue, "expected_older": item.count - 1}
    return [
        _acknowledge_button(
            f"item-acknowledge-{item.model}-{item.issue}",
            item.about,
            item.title,
            item.sentence,
            label=f"Acknowledge all {item.count:,}" if is_group else "Acknowledge",
            consequence="Records that you have seen them; newer ones need their own acknowledgement."
            if is_group
            else _ONLY_RECORDED,
            body=group if is_group else {},
        )
    ]


def acknowledge_button(decision: Decision) -> Button:
    """The button in the table of decisions."""
    return _acknowledge_button(
        f"decision-acknowledge-{decision.cause_key}",
        decision.cause_key,
        f"{decision.model}: {decision.reason_code}",
        decision.reason,
    )


def rollback_button(model: Model) -> Button | None:
    """None if no other version was served before."""
    choices = rollback_choices(model.releases)
    if not choices or model.released is None:
        return None
    served, newest = model.released, model.releases[-1].generation
    options = [
        {
            "generation": release.generation,
            "version": short(release.version),
            "label": f"generation {release.generation}: version {short(release.version)}, "
            f"{release.reason} of {clock(release.released_at)}",
        }
        for release in choices
    ]
    return _button(
        f"rollback-{model.name}",
        "Roll back…",
        model.name,
        action="rollback",
        path=f"/api/models/{quote(model.name, safe='')}/rollback",
        title=f"Roll back {model.name}",
        text="Adds a release with an earlier version to the release log; every server then loads that version.",
        body={"expected_generation": newest},
        kind="danger",
        served=f"generation {served.generation}, version {short(served.version)}",
        next=str(newest + 1),
        choices=orjson.dumps(options).decode(),
        default=str(model.rollback_target or choices[0].generation),
    )


def rollback_choices(log: Sequence[Release]) -> list[Release]:
    """The newest live release of each version but the served one, newest first."""
    served = live(log)
    newest = {
        release.version: release
        for release in log
        if release.slot == "live" and served is not None and release.version != served.version
    }
    return sorted(newest.values(), key=lambda one: one.generation, reverse=True)[:MAXIMUM_CHOICES]


def _answer_button(item: ActionItem, action: str) -> Button:
    label = action.capitalize()
    return _button(
        f"{action}-{item.about}",
        label,
        item.about,
        action=action,
        path=f"/api/runs/{quote(item.about, safe='')}/{action}",
        title=f"{label} {item.about}",
        text=f"{_CONSEQUENCES[action, item.state]} {item.sentence}",
        body={"state": item.state, "gate_digest": item.gate_digest},
        kind="main" if action == "approve" else "",
    )


def _acknowledge_button(
    identity: str,
    cause_key: str,
    title: str,
    sentence: str,
    *,
    label: str = "Acknowledge",
    consequence: str = _ONLY_RECORDED,
    body: Mapping[str, object] | None = None,
) -> Button:
    return _button(
        identity,
        label,
        f"{title}, {cause_key[:12]}",
        action="acknowledge",
        path=f"/api/causes/{quote(cause_key, safe='')}/acknowledge",
        title=f"Acknowledge {title}",
        text=f"{consequence} {sentence}",
        body=body or {},
    )


def _button(
    identity: str,
    label: str,
    subject: str,
    *,
    path: str,
    text: str,
    body: Mapping[str, object],
    kind: str = "",
    **data: str,
) -> Button:
    shown = {**data, "path": path, "text": shorten(text), "body": orjson.dumps(body).decode()}
    attributes = {f"data-{name}": value for name, value in shown.items()}
    scope = _ROUTES.scope_of("POST", unquote(path)) or Scope.ADMIN
    return Button(identity, label, subject, kind, attributes, scope)
