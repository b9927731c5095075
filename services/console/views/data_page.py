"""The page about what a model has logged. It has no script: while a summary is being made, the browser loads it again."""

from __future__ import annotations

from services.console.aggregation.data_summary import DataSummary
from services.console.views.environment import STYLE, environment
from shared.http.pages import content_security_policy

DATA_POLICY = content_security_policy(STYLE)
REFRESH_S = 3


def render_data(found: DataSummary) -> str:
    """The page; values from the data are escaped by the template."""
    return environment().get_template("data.html").render(found=found, style=STYLE, refresh=REFRESH_S)
