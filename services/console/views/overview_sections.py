"""The upper half of the page: what needs a person, the parts, the models. Pure."""

from __future__ import annotations

from services.console.aggregation.view_models import ActionItem, ComponentHealth, Snapshot
from services.console.formatting import age, clock
from services.console.views.buttons import need_buttons
from services.console.views.markup import Html, join, moment, tag
from services.console.views.model_card import model_card
from services.console.views.status_badges import sign


def section(identity: str, title: str, *children: object, beside: object = None) -> Html:
    """A part of the page with its heading."""
    heading = tag("h2", title, id=f"{identity}-title")
    return tag(
        "section",
        tag("div", heading, beside, class_="head") if beside is not None else heading,
        *children,
        id=identity,
        aria_labelledby=f"{identity}-title",
    )


def needs_section(snapshot: Snapshot) -> Html:
    """What waits for a person, with how many things that is: decisions nobody has seen are one thing per model and concern."""
    digests = {run.run_id: run.gate_digest for run in snapshot.runs}
    shown = [_need(item, digests.get(item.about, ""), snapshot) for item in snapshot.needs]
    if not shown:
        return section("needs", "Needs you", tag("p", sign("ok"), " Nothing waits for you.", class_="calm"))
    count = tag("span", str(len(snapshot.needs)), class_="count", aria_hidden="true")
    return section("needs", "Needs you", tag("ul", *shown, class_="needs"), beside=count)


def parts_section(snapshot: Snapshot) -> Html:
    """The health of every part, in the order in which data goes through them."""
    return section(
        "parts", "Parts", tag("ul", *(_part(part, snapshot) for part in snapshot.parts), class_="parts")
    )


def models_section(snapshot: Snapshot) -> Html:
    """Every model."""
    if not snapshot.models:
        told = tag("p", "No model yet. ", tag("code", "homeostat deploy"), " releases one.", class_="calm")
        return section("models", "Models", told)
    return section("models", "Models", *(model_card(model, snapshot.at) for model in snapshot.models))


def _need(item: ActionItem, digest: str, snapshot: Snapshot) -> Html:
    when = join("newest " if item.count > 1 else "", moment(item.since, snapshot.at)) if item.since else None
    return tag(
        "li",
        tag("p", tag("strong", item.title), tag("span", when, class_="soft"), class_="what"),
        tag("p", item.sentence) if item.sentence else None,
        tag("p", _commands(item.hint), class_="soft") if item.hint else None,
        need_buttons(item, digest),
        id=f"item-{item.key}",
        class_=f"item {item.kind}",
        data_need=item.title,
    )


def _part(part: ComponentHealth, snapshot: Snapshot) -> Html:
    details = [join(tag("dt", name), tag("dd", value)) for name, value in part.details if value]
    linked = part.url and not part.is_core
    name = (
        tag("a", part.name, href=part.url, rel="noreferrer", id=f"part-{part.name}") if linked else part.name
    )
    return tag(
        "li",
        tag("p", tag("strong", name), " ", sign(part.condition), class_="what"),
        tag("p", part.sentence),
        tag("dl", *details, class_="facts") if details else None,
        _trouble(part, snapshot) if part.since is not None else None,
        class_=f"part {part.condition}",
    )


def _trouble(part: ComponentHealth, snapshot: Snapshot) -> Html:
    since = part.since or snapshot.at
    at = tag("time", f"{clock(since)} UTC", datetime=since.isoformat(timespec="seconds"))
    heard = None
    if part.condition != "trouble" and part.name != "kafka":
        heard = join("; last heard ", moment(part.said_at, snapshot.at))
    return tag("p", "since ", at, f", {age(since, snapshot.at)}", heard, class_="soft")


def _commands(hint: str) -> Html:
    """Text in which what stands between backticks is a command."""
    pieces = hint.split("`")
    return join(*(tag("code", piece) if index % 2 else piece for index, piece in enumerate(pieces)))
