"""Status badges: each state has a symbol of its own, so that it can be recognised without colour. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Badge(NamedTuple):
    """`kind` is the CSS class of the colour."""

    kind: str
    symbol: str
    text: str


_KINDS_AND_SYMBOLS = {
    "up": ("good", "●"),
    "degraded": ("warn", "▲"),
    "unreachable": ("bad", "✕"),
    "unknown": ("warn", "?"),
    "ok": ("good", "●"),
    "drift": ("bad", "▲"),
    "data_fault": ("fault", "◆"),
    "not_judged": ("warn", "?"),
    "insufficient_data": ("soft", "○"),
    "warming_up": ("soft", "◌"),
    "retrain": ("info", "↻"),
    "suggest": ("info", "✎"),
    "wait": ("soft", "–"),
    "suggested": ("info", "✎"),
    "queued": ("info", "…"),
    "snapshotting": ("info", "↻"),
    "training": ("info", "↻"),
    "packaging": ("info", "↻"),
    "evaluating": ("info", "↻"),
    "waiting_for_approval": ("info", "◐"),
    "shadowing": ("info", "◌"),
    "canarying": ("info", "◔"),
    "promoting": ("info", "↑"),
    "promoted": ("good", "✓"),
    "succeeded": ("good", "✓"),
    "refused": ("warn", "⊘"),
    "failed": ("bad", "✕"),
    "rejected": ("soft", "⊘"),
    "abandoned": ("soft", "⊘"),
    "deployment": ("info", "↑"),
    "promotion": ("good", "✓"),
    "rollback": ("warn", "↩"),
    "canary": ("info", "◔"),
    "shadow": ("soft", "◌"),
    "withdrawal": ("warn", "⊖"),
    "watching": ("info", "◐"),
    "rolling_back": ("warn", "↩"),
    "kept": ("good", "✓"),
    "rolled_back": ("warn", "↩"),
    "worse": ("bad", "▲"),
    "superseded": ("soft", "⊘"),
    "operational": ("bad", "▲"),
    "withdrawn": ("soft", "⊖"),
    "champion_changed": ("soft", "⊘"),
    "slot_taken": ("soft", "⊘"),
    "passed": ("good", "✓"),
    "not passed": ("warn", "⊘"),
    "as released": ("good", "✓"),
    "not as released": ("warn", "▲"),
    "not known": ("soft", "?"),
}


def badge(state: str) -> Badge:
    """The badge of a state; a state that is not known is shown as it was received."""
    kind, symbol = _KINDS_AND_SYMBOLS.get(state, ("soft", "?"))
    return Badge(kind, symbol, state.replace("_", " "))
