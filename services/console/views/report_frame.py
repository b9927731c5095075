"""Drift's reports as the console shows them. A report has scripts of its own, so it is isolated:

1. A sandbox without allow-same-origin: its scripts belong to no origin and read nothing of the console.
2. A policy under which it loads nothing and connects to nothing.
3. A frame of a console page: as a page of its own a report could navigate elsewhere and send its content in the URL. A frame can
   navigate only where the policy of the page around it allows, and that is the console.
"""

from __future__ import annotations

from services.console.views.environment import STYLE, environment
from shared.http.pages import content_security_policy

FRAME_POLICY = content_security_policy(STYLE, frames=True)
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
# The page of a gate's result: text and drawings of retraining, without scripts, forms and frames.
GATE_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def render_frame(verdict_id: str) -> str:
    """The page around a report."""
    return environment().get_template("report.html").render(verdict_id=verdict_id, style=STYLE)


def render_missing_report(reason: str, hint: str) -> str:
    """The content of the frame if there is no report."""
    return environment().get_template("missing_report.html").render(reason=reason, hint=hint)
