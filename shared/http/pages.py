"""HTML pages from Jinja2 templates: everything is escaped, and only the page's own style sheet and script may run."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def make_environment(package: str) -> Environment:
    """Templates from the folder `templates` of a package. An undefined name in a template is an error."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def read_static(package: str, name: str) -> Markup:
    """A file from the folder `static` of a package, to be inlined in a page as it is."""
    return Markup((files(package) / "static" / name).read_text(encoding="utf-8"))


def shared_style() -> Markup:
    """The style sheet of all our pages."""
    return read_static("shared.http", "style.css")


def content_security_policy(
    style: str, *, script: str = "", frames: bool = False, forms: bool = False
) -> str:
    """The policy of a page with an inline `style` sheet and `script`, both allowed by digest.

    `frames` and `forms`: of and to this origin only.
    """
    directives = ["default-src 'none'", f"style-src {_digest(style)}"]
    if script:
        directives += [f"script-src {_digest(script)}", "connect-src 'self'", "img-src data:"]
    if frames:
        directives.append("frame-src 'self'")
    action = "'self'" if forms else "'none'"
    return "; ".join([*directives, "base-uri 'none'", f"form-action {action}", "frame-ancestors 'none'"])


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
