"""The status page: `templates/status.html` with a status report. It works without its script."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Template

from shared.http.pages import content_security_policy, make_environment, read_static, shared_style

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
_STYLE = shared_style()
_SCRIPT = read_static("services.inference", "status.js")
CONTENT_SECURITY_POLICY = content_security_policy(_STYLE, script=_SCRIPT)


def render_status(report: Mapping[str, Any]) -> str:
    """The page for a status report."""
    return _template().render(report, style=_STYLE, script=_SCRIPT)


@cache
def _template() -> Template:
    environment = make_environment("services.inference")
    environment.filters |= {"age": _age, "number": "{:,}".format, "total": _total, "mib": _mib}
    return environment.get_template("status.html")


def _age(seconds: float) -> str:
    for length, unit in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.1f} s ago"


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.1f}"


def _total(counts: Mapping[str, Mapping[str, int]]) -> int:
    """The sum over kinds and models."""
    return sum(count for models in counts.values() for count in models.values())
