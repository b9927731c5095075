"""The page with which a person logs in."""

from __future__ import annotations

from services.console.views.environment import STYLE, environment
from services.console.views.viewer import Viewer
from shared.access.caller import Caller
from shared.errors import HomeostatError
from shared.http.pages import content_security_policy

LOGIN_POLICY = content_security_policy(STYLE, forms=True)


def render_login(caller: Caller, *, code: str = "", problem: HomeostatError | None = None) -> str:
    """The page. `code`: that of a link, to be confirmed by pressing the button; `problem`: why the last login failed."""
    template = environment().get_template("login.html")
    return template.render(viewer=Viewer(caller), code=code, problem=problem, style=STYLE)
