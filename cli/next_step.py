"""What a person can do about a run, by its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What approval does in the states that wait for a person.
APPROVAL = {"suggested": "starts it", "waiting_for_approval": "releases it"}
EXPLAINED = ("failed", "refused", "abandoned", "succeeded")


def next_step(run: Mapping[str, Any]) -> str:
    """The command and what it does; empty for a run that nobody has to do anything about."""
    name, state = run.get("run_id", ""), str(run.get("state", ""))
    if state in APPROVAL:
        return f"`homeostat approve {name}` {APPROVAL[state]}"
    return f"`homeostat why {name}` explains it" if state in EXPLAINED else ""
