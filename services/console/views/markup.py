"""HTML made of pieces: whatever is not made here is text, and text is escaped. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

from services.console.formatting import age

_VOID = {"br", "circle", "input", "line", "link", "meta", "path", "rect"}


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element. `class_` and `aria_label` become `class` and `aria-label`; None and False leave an attribute out."""
    opening = name + "".join(
        _attribute(key, value)
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{opening}>" if name not in {"circle", "line", "path", "rect"} else f"<{opening}/>")
    return Html(f"<{opening}>{join(*children)}</{name}>")


def join(*children: object) -> Html:
    """One after the other; None and empty text leave nothing."""
    return Html(
        "".join(child if isinstance(child, Html) else _text(child) for child in children if child is not None)
    )


def moment(at: datetime | None, now: datetime) -> Html:
    """How long ago, with the moment itself for programs; the page's script shows it to those who point there."""
    if at is None:
        return tag("span", "never", class_="soft")
    return tag("time", age(at, now), datetime=f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")


def code(text: str, title: str = "") -> Html:
    """An identifier."""
    return tag("code", text, title=title or None) if text else Html("–")


def table(identity: str, caption: str, heads: tuple[str, ...], rows: list[Html]) -> Html:
    """A table that scrolls by itself where the screen is narrow."""
    head = tag("tr", *(tag("th", head, scope="col") for head in heads))
    return tag(
        "div",
        tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *rows)),
        class_="scroll",
        id=f"{identity}-table",
        tabindex=0,
        role="group",
        aria_label=caption,
    )


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def _text(child: object) -> str:
    return escape(str(child), quote=False)
