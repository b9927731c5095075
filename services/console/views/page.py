"""The page: what stands around the main part, and the rules a browser is given with it. Pure but for reading its own assets."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from services.console.aggregation.view_models import Picture
from services.console.views.history_tables import (
    decisions_section,
    releases_section,
    runs_section,
    verdicts_section,
)
from services.console.views.markup import Html, join, tag
from services.console.views.overview_sections import models_section, needs_section, parts_section


@dataclass(frozen=True)
class Shell:
    """What never changes while the console runs: the `document` with its marks, `style`, `script`, and the page's `policy`."""

    document: str
    style: str
    script: str
    policy: str


@cache
def shell() -> Shell:
    """The shell, read once. Its policy names style and script by their digests: nothing else may draw or run."""
    folder = files("services.console")
    style, script, document = (
        (folder / name).read_text(encoding="utf-8")
        for name in ("static/console.css", "static/console.js", "templates/shell.html")
    )
    policy = (
        "default-src 'none'",
        f"style-src {_digest(style)}",
        f"script-src {_digest(script)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return Shell(document, style, script, "; ".join(policy))


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def draw_page(picture: Picture, *, actor: str = "") -> str:
    """The whole document. `actor` is who acts, where a proxy has said so; else the page asks."""
    pieces = {
        "{{style}}": shell().style,
        "{{script}}": shell().script,
        "{{actor}}": tag("meta", name="homeostat-actor", content=actor) if actor else Html(""),
        "{{main}}": draw_main(picture),
    }
    # Each mark is filled once, from the front, so that nothing that was filled in is looked at again.
    rest, drawn = shell().document, ""
    for mark, piece in pieces.items():
        before, _, rest = rest.partition(mark)
        drawn += before + piece
    return drawn + rest


def draw_main(picture: Picture) -> str:
    """What changes from look to look."""
    return tag(
        "main",
        tag("p", verdict_on(picture), id="summary", class_="summary"),
        needs_section(picture),
        parts_section(picture),
        models_section(picture),
        verdicts_section(picture),
        runs_section(picture),
        decisions_section(picture),
        releases_section(picture),
        id="main",
        tabindex=-1,
        data_at=picture.at.isoformat(timespec="seconds"),
    )


def verdict_on(picture: Picture) -> Html:
    """How things are, in one sentence."""
    unwell = [part.name for part in picture.parts if part.condition != "up"]
    waiting = len([need for need in picture.needs if need.kind != "part"])
    told = []
    if unwell:
        told.append(f"{', '.join(unwell)}: not well")
    if waiting:
        told.append(f"{waiting} {'thing waits' if waiting == 1 else 'things wait'} for you")
    at = tag("time", f"{picture.at:%H:%M:%S} UTC", datetime=picture.at.isoformat(timespec="seconds"))
    return join("; ".join(told) or "All parts are well and nothing waits for you", " · as of ", at)
