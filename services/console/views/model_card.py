"""A model's card: what is released and served, what was last received, the evidence, and what the loop is worth. Pure."""

from __future__ import annotations

from datetime import datetime

from services.console.aggregation.view_models import Model, Received, Release, ServedModel
from services.console.formatting import clock, count, short
from services.console.views.buttons import rollback_button
from services.console.views.charts import course, two_losses
from services.console.views.markup import Html, code, join, moment, tag
from services.console.views.status_badges import sign


def model_card(model: Model, now: datetime) -> Html:
    """Everything about one model."""
    newest = model.recent[0] if model.recent else None
    return tag(
        "article",
        tag(
            "div",
            tag("h3", model.name, id=f"model-{model.name}"),
            sign(newest.state) if newest else None,
            _aged(model, "evidence", "drift", now) if newest else None,
            rollback_button(model),
            class_="head",
        ),
        tag("p", model.problem, class_="problem") if model.problem else None,
        tag(
            "div",
            _box(
                "Released and served",
                _released(model.released, now),
                _aged(model, "releases", "retraining", now),
                _servers(model, now),
            ),
            _box(
                "Last received",
                _received(model.received, now),
                _aged(model, "received", "one of the services", now),
            ),
            _box(
                "Evidence ÷ threshold",
                course(model.recent),
                _windows(model),
                _aged(model, "evidence", "drift", now),
            ),
            _box("Loss, frozen against served", _losses(model), _aged(model, "losses", "retraining", now)),
            class_="boxes",
        ),
        class_="model",
        aria_labelledby=f"model-{model.name}",
    )


def _box(title: str, *children: object) -> Html:
    return tag("div", tag("h4", title), *children, class_="box")


def _aged(model: Model, what: str, teller: str, now: datetime) -> Html | None:
    """Says that something is not of now; None where it is."""
    if what not in model.stale:
        return None
    at = model.stale[what]
    known = join("as it said ", moment(at, now)) if at else "nothing is known"
    return tag("p", f"{teller} does not answer: ", known, class_="stale")


def _released(release: Release | None, now: datetime) -> Html:
    if release is None:
        return tag("p", "No release is known.", class_="soft")
    return tag(
        "p",
        "generation ",
        tag("strong", str(release.generation)),
        ", version ",
        code(short(release.version), release.version),
        tag("small", sign(release.reason), f" by {release.actor}, ", moment(release.released_at, now)),
    )


def _servers(model: Model, now: datetime) -> Html:
    return tag("ul", *(_server(served, now) for served in model.servers), class_="servers")


def _server(served: ServedModel, now: datetime) -> Html:
    if served.version:
        serves = join(
            " serves generation ",
            str(served.generation),
            ", ",
            code(short(served.version), served.version),
            " ",
        )
    else:
        serves = Html(" serves no version ")
    kind, mark, word = {
        True: ("good", "✓", "as released"),
        False: ("warn", "▲", "not as released"),
        None: ("soft", "?", "not known"),
    }[served.agrees]
    agrees = tag("span", tag("span", mark, aria_hidden="true"), f" {word}", class_=f"sign {kind}")
    said = join("; as it said ", moment(served.said_at, now)) if served.said_at else None
    problem = tag("p", served.problem, said, class_="problem") if served.problem else None
    return tag("li", served.server, serves, agrees, problem)


def _received(received: Received, now: datetime) -> Html:
    shown = (
        ("prediction", received.prediction),
        ("outcome", received.outcome),
        ("lake row", received.lake_row),
        ("verdict", received.verdict),
    )
    return tag(
        "dl", *(join(tag("dt", name), tag("dd", moment(at, now))) for name, at in shown), class_="facts"
    )


def _windows(model: Model) -> Html | None:
    if not model.recent:
        return None
    until = clock(model.evaluated_until or model.recent[0].window_end)
    return tag(
        "p",
        f"{count(len(model.recent), 'window')} up to {until}, event time; the line is the threshold",
        class_="soft",
    )


def _losses(model: Model) -> Html:
    if model.frozen_loss is None or model.served_loss is None:
        return tag("p", "Known once retraining has measured both on the same rows.", class_="soft")
    on = (
        f"{model.loss_metric} on the newest {count(model.loss_rows, 'row')} with outcomes"
        if model.loss_rows
        else ""
    )
    return join(two_losses(model.frozen_loss, model.served_loss), tag("p", on, class_="soft") if on else None)
