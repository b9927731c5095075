"""The page: what stands around the main part, and the rules a browser is given with it. Pure but for reading its own assets."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from services.console.aggregation.view_models import Snapshot
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


def draw_page(snapshot: Snapshot, *, actor: str = "") -> str:
    """The whole document. `actor` is who acts, where a proxy has said so; else the page asks."""
    pieces = {
        "{{style}}": shell().style,
        "{{script}}": shell().script,
        "{{actor}}": tag("meta", name="homeostat-actor", content=actor) if actor else Html(""),
        "{{main}}": draw_main(snapshot),
    }
    # Each mark is filled once, from the front, so that nothing that was filled in is looked at again.
    rest, drawn = shell().document, ""
    for mark, piece in pieces.items():
        before, _, rest = rest.partition(mark)
        drawn += before + piece
    return drawn + rest


def draw_main(snapshot: Snapshot) -> str:
    """What changes from look to look."""
    return tag(
        "main",
        tag("p", verdict_on(snapshot), id="summary", class_="summary"),
        needs_section(snapshot),
        parts_section(snapshot),
        models_section(snapshot),
        verdicts_section(snapshot),
        runs_section(snapshot),
        decisions_section(snapshot),
        releases_section(snapshot),
        id="main",
        tabindex=-1,
        data_at=snapshot.at.isoformat(timespec="seconds"),
    )


def verdict_on(snapshot: Snapshot) -> Html:
    """How things are, in one sentence."""
    unwell = [part.name for part in snapshot.parts if part.condition != "up"]
    waiting = len([item for item in snapshot.needs if item.kind != "part"])
    told = []
    if unwell:
        told.append(f"{', '.join(unwell)}: not well")
    if waiting:
        told.append(f"{waiting} {'thing waits' if waiting == 1 else 'things wait'} for you")
    at = tag("time", f"{snapshot.at:%H:%M:%S} UTC", datetime=snapshot.at.isoformat(timespec="seconds"))
    return join("; ".join(told) or "All parts are well and nothing waits for you", " · as of ", at)
