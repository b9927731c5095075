"""The Jinja2 environment of the console's templates, and the style sheet of its pages."""

from __future__ import annotations

from functools import cache, partial
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup, escape

from services.console import formatting
from services.console.views.badges import badge
from services.console.views.buttons import acknowledge_button, action_buttons, rollback_button
from services.console.views.charts import loss_chart, ratio, ratio_bar_width, shown_scores, sparkline
from shared.http.pages import make_environment, read_static, shared_style

STYLE = shared_style() + read_static("services.console", "console.css")


@cache
def environment() -> Environment:
    """The environment; it escapes everything and shortens long texts."""
    made = make_environment("services.console")
    made.finalize = _shorten
    made.filters |= {
        "age": formatting.age,
        "clock": formatting.clock,
        "count": formatting.count,
        "figure": formatting.figure,
        "multiple": formatting.multiple,
        "quote": partial(quote, safe=""),
        "short": formatting.short,
        "iso": formatting.iso,
    }
    made.globals |= {
        "acknowledge_button": acknowledge_button,
        "action_buttons": action_buttons,
        "badge_of": badge,
        "loss_chart": loss_chart,
        "ratio_bar_width": ratio_bar_width,
        "ratio": ratio,
        "quoted": _quoted,
        "rollback_button": rollback_button,
        "shown_scores": shown_scores,
        "sparkline": sparkline,
        "window": formatting.window,
    }
    return made


def _shorten(value: object) -> object:
    return formatting.shorten(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _quoted(text: str) -> Markup:
    """A text whose commands are quoted with backticks."""
    parts = (escape(part) for part in text.split("`"))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )
