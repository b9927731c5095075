"""The console's page."""

from __future__ import annotations

from services.console.aggregation.console_snapshot import ConsoleSnapshot
from services.console.views.environment import STYLE, environment
from shared.http.pages import content_security_policy, read_static

SCRIPT = read_static("services.console", "console.js")
PAGE_POLICY = content_security_policy(STYLE, script=SCRIPT)


def render_page(snapshot: ConsoleSnapshot, *, actor: str = "") -> str:
    """The whole page. `actor`: the user, if a proxy named them; otherwise the page asks."""
    template = environment().get_template("page.html")
    return template.render(snapshot=snapshot, actor=actor, style=STYLE, script=SCRIPT)


def render_main(snapshot: ConsoleSnapshot) -> str:
    """The part of the page that changes with each snapshot."""
    return environment().get_template("main.html").render(snapshot=snapshot)
