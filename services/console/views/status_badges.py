"""Words for states, each with a sign of its own, so that colour only underlines. Pure."""

from __future__ import annotations

from services.console.views.markup import Html, tag

# kind of colour, sign, word
_SIGNS: dict[str, tuple[str, str, str]] = {
    "up": ("good", "●", "up"),
    "trouble": ("warn", "▲", "trouble"),
    "away": ("bad", "✕", "away"),
    "unclear": ("warn", "?", "unclear"),
    "ok": ("good", "●", "ok"),
    "drift": ("bad", "▲", "drift"),
    "data_fault": ("fault", "◆", "data_fault"),
    "insufficient_data": ("soft", "○", "insufficient_data"),
    "warming_up": ("soft", "◌", "warming_up"),
    "retrain": ("info", "↻", "retrain"),
    "suggest": ("info", "✎", "suggest"),
    "wait": ("soft", "–", "wait"),
    "suggested": ("info", "✎", "suggested"),
    "queued": ("info", "…", "queued"),
    "freezing": ("info", "↻", "freezing"),
    "training": ("info", "↻", "training"),
    "packaging": ("info", "↻", "packaging"),
    "judging": ("info", "↻", "judging"),
    "waiting_for_approval": ("info", "◐", "waits for approval"),
    "promoting": ("info", "↑", "promoting"),
    "promoted": ("good", "✓", "promoted"),
    "succeeded": ("good", "✓", "succeeded"),
    "refused": ("warn", "⊘", "refused"),
    "failed": ("bad", "✕", "failed"),
    "rejected": ("soft", "⊘", "rejected"),
    "abandoned": ("soft", "⊘", "abandoned"),
    "deployment": ("info", "↑", "deployment"),
    "promotion": ("good", "✓", "promotion"),
    "rollback": ("warn", "↩", "rollback"),
    "passed": ("good", "✓", "passed"),
    "not passed": ("warn", "⊘", "not passed"),
}


def sign(state: str) -> Html:
    """The state with its sign; a state nobody knows is shown as it was said."""
    kind, mark, word = _SIGNS.get(state, ("soft", "?", state or "unknown"))
    return tag("span", tag("span", mark, aria_hidden="true"), " ", word, class_=f"sign {kind}")
