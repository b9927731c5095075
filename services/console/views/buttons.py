"""The buttons. Each carries what the dialog says and what is sent; the page's script adds who acts. Pure."""

from __future__ import annotations

from urllib.parse import quote

import orjson

from services.console.aggregation.rollback_target import candidates
from services.console.aggregation.view_models import ActionItem, Decision, Model
from services.console.formatting import clock, short
from services.console.views.markup import Html, join, tag

SEEN = "Records that you have seen it; nothing else happens."
_WORDS = {"approve": "Approve", "reject": "Reject"}


def need_buttons(item: ActionItem, digest: str) -> Html | None:
    """The buttons of something that waits. `digest`: the proof the run was shown with."""
    if not item.acts:
        return None
    if item.kind == "run":
        return tag("p", *(_answer(item, act, digest) for act in item.acts), class_="acts")
    # Bound to what is shown: up to this decision, of this concern, and no more older ones than were counted.
    shown: dict[str, object] = {"and_older": True, "concern": item.concern, "expected_older": item.count - 1}
    button = _acknowledge(
        f"item-acknowledge-{item.model}-{item.concern}",
        item.about,
        item.title,
        item.sentence,
        word=f"Acknowledge all {item.count:,}" if item.count > 1 else "Acknowledge",
        means="Records that you have seen them; later ones ask again." if item.count > 1 else SEEN,
        body=shown if item.count > 1 else {},
    )
    return tag("p", button, class_="acts")


def acknowledge_button(decision: Decision) -> Html:
    """In the table of decisions."""
    return _acknowledge(
        f"decision-acknowledge-{decision.cause_key}",
        decision.cause_key,
        f"{decision.model}: {decision.code}",
        decision.sentence,
        word="Acknowledge",
        means=SEEN,
        body={},
    )


def rollback_button(model: Model) -> Html | None:
    """Takes the model's newest release back; None where nothing was served before."""
    log = model.releases
    choices = candidates(log)
    if not choices or model.released is None:
        return None
    told = [
        {
            "generation": entry.generation,
            "version": short(entry.version),
            "label": f"generation {entry.generation}: version {short(entry.version)}, "
            f"{entry.reason} of {clock(entry.released_at)}",
        }
        for entry in choices
    ]
    return _button(
        f"rollback-{model.name}",
        "Roll back…",
        f" {model.name}",
        act="rollback",
        path=f"/api/models/{quote(model.name, safe='')}/rollback",
        title=f"Roll back {model.name}",
        says="The release log only grows: this is one more release, and every server follows it.",
        body={"expected_generation": model.released.generation},
        going=f"generation {model.released.generation}, version {short(model.released.version)}",
        next=str(model.released.generation + 1),
        choices=told,
        back=str(model.rollback_target or choices[0].generation),
        kind="danger",
    )


def _answer(item: ActionItem, act: str, digest: str) -> Html:
    suggested = item.state == "suggested"
    means = {
        ("approve", True): "The training starts. What it makes waits for your word again.",
        ("approve", False): "The new version is released and takes the place of the one served.",
        ("reject", True): "The run ends without training.",
        ("reject", False): "The run ends; the version served stays.",
    }[act, suggested]
    return _button(
        f"{act}-{item.about}",
        _WORDS[act],
        f" {item.about}",
        act=act,
        path=f"/api/runs/{quote(item.about, safe='')}/{act}",
        title=f"{_WORDS[act]} {item.about}",
        says=f"{means} {item.sentence}",
        body={"state": item.state, "gate_digest": digest},
        kind="main" if act == "approve" else "",
    )


def _acknowledge(
    identity: str,
    cause_key: str,
    title: str,
    sentence: str,
    *,
    word: str,
    means: str,
    body: dict[str, object],
) -> Html:
    return _button(
        identity,
        word,
        f" {title}, {cause_key[:12]}",
        act="acknowledge",
        path=f"/api/causes/{quote(cause_key, safe='')}/acknowledge",
        title=f"Acknowledge {title}",
        says=f"{means} {sentence}",
        body=body,
        kind="",
    )


def _button(
    identity: str,
    word: str,
    about: str,
    *,
    kind: str,
    body: dict[str, object],
    **told: str | list[dict[str, object]],
) -> Html:
    data = {
        f"data_{name}": value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in told.items()
    }
    return tag(
        "button",
        join(word, tag("span", about, class_="hidden")),
        type="button",
        id=identity,
        class_=kind or None,
        data_body=orjson.dumps(body).decode(),
        **data,
    )
