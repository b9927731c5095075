"""The console's page."""

from __future__ import annotations

from services.console.aggregation.console_snapshot import ConsoleSnapshot
from services.console.views.environment import STYLE, environment
from services.console.views.viewer import Viewer
from shared.http.pages import content_security_policy, read_static

SCRIPT = read_static("services.console", "console.js")
PAGE_POLICY = content_security_policy(STYLE, script=SCRIPT)


def render_page(snapshot: ConsoleSnapshot, viewer: Viewer) -> str:
    """The whole page for a viewer."""
    template = environment().get_template("page.html")
    return template.render(snapshot=snapshot, viewer=viewer, style=STYLE, script=SCRIPT)


def render_main(snapshot: ConsoleSnapshot, viewer: Viewer) -> str:
    """The part of the page that changes with each snapshot."""
    return environment().get_template("main.html").render(snapshot=snapshot, viewer=viewer)
