"""Drift's reports as the console shows them: pages with scripts of their own, shut in. Pure.

1. A sandbox without allow-same-origin: what runs in it belongs to no origin and reads nothing of ours.
2. A policy under which it loads nothing and connects to nothing.
3. A frame of a page of ours: a page by itself could still go elsewhere and take its text along in the address. A frame goes only
   where the page around it lets frames go, and that is here.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from urllib.parse import quote

from services.console.views.markup import Html, join, tag

_STYLE = (
    ":root { color-scheme: light dark } body { margin: 0; display: grid; grid-template-rows: auto 1fr; height: 100vh; "
    "font: 14px/1.45 system-ui, sans-serif } header { display: flex; gap: 1rem; align-items: baseline; padding: .5rem 1rem } "
    "h1 { margin: 0; font-size: 1rem; overflow-wrap: anywhere } iframe { width: 100%; height: 100%; border: 0; background: #fff }"
)
FRAME_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'",
        "frame-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


def draw_frame(verdict_id: str) -> str:
    """The page around a report."""
    title = f"Report about verdict {verdict_id}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(_STYLE)),
    )
    frame = tag(
        "iframe", title=title, sandbox="allow-scripts", src=f"/reports/{quote(verdict_id, safe='')}/content"
    )
    body = tag(
        "body", tag("header", tag("h1", title), tag("a", "Back to the console", href="/")), tag("main", frame)
    )
    return join(Html("<!doctype html>"), tag("html", head, body, lang="en"))


def draw_absence(reason: str, hint: str) -> str:
    """What stands in the frame where there is no report."""
    return join(
        Html("<!doctype html>"),
        tag("title", "No report"),
        tag("p", reason),
        tag("p", hint) if hint else None,
    )
