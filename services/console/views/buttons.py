"""The buttons. Each carries what the dialog says and what is sent; the page's script adds who acts. Pure."""

from __future__ import annotations

from urllib.parse import quote

import orjson

from services.console.aggregation.rollback_target import candidates
from services.console.aggregation.view_models import Decision, Model, Need
from services.console.formatting import clock, short
from services.console.views.markup import Html, join, tag

SEEN = "Records that you have seen it; nothing else happens."
_WORDS = {"approve": "Approve", "reject": "Reject"}


def need_buttons(need: Need, digest: str) -> Html | None:
    """The buttons of something that waits. `digest`: the proof the run was shown with."""
    if not need.acts:
        return None
    if need.kind == "run":
        return tag("p", *(_answer(need, act, digest) for act in need.acts), class_="acts")
    # Bound to what is shown: up to this decision, of this concern, and no more older ones than were counted.
    shown: dict[str, object] = {"and_older": True, "concern": need.concern, "expected_older": need.count - 1}
    button = _acknowledge(
        f"need-acknowledge-{need.model}-{need.concern}",
        need.about,
        need.title,
        need.sentence,
        word=f"Acknowledge all {need.count:,}" if need.count > 1 else "Acknowledge",
        means="Records that you have seen them; later ones ask again." if need.count > 1 else SEEN,
        body=shown if need.count > 1 else {},
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
        back=str(model.comes_back or choices[0].generation),
        kind="danger",
    )


def _answer(need: Need, act: str, digest: str) -> Html:
    suggested = need.state == "suggested"
    means = {
        ("approve", True): "The training starts. What it makes waits for your word again.",
        ("approve", False): "The new version is released and takes the place of the one served.",
        ("reject", True): "The run ends without training.",
        ("reject", False): "The run ends; the version served stays.",
    }[act, suggested]
    return _button(
        f"{act}-{need.about}",
        _WORDS[act],
        f" {need.about}",
        act=act,
        path=f"/api/runs/{quote(need.about, safe='')}/{act}",
        title=f"{_WORDS[act]} {need.about}",
        says=f"{means} {need.sentence}",
        body={"state": need.state, "gate_digest": digest},
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
