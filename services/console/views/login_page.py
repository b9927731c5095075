"""The page with which a person logs in."""

from __future__ import annotations

from services.console.views.environment import STYLE, environment
from services.console.views.viewer import Viewer
from shared.access.caller import Caller
from shared.errors import HomeostatError
from shared.http.pages import content_security_policy

LOGIN_POLICY = content_security_policy(STYLE, forms=True)
LANDING_POLICY = content_security_policy(STYLE)


def render_login(
    caller: Caller, *, code: str = "", problem: HomeostatError | None = None, provider: str = ""
) -> str:
    """The page. `code`: that of a link, to be confirmed by pressing the button; `problem`: why the last login failed;
    `provider`: the name of the identity provider, if people may log in with it.
    """
    template = environment().get_template("login.html")
    return template.render(viewer=Viewer(caller), code=code, problem=problem, provider=provider, style=STYLE)


def render_landing() -> str:
    """The page on which a browser lands that comes back from the identity provider; it leads to the console."""
    return environment().get_template("landing.html").render(style=STYLE)
