"""What a person can do about a run, by its state."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What approval does in the states that wait for a person.
APPROVAL = {"suggested": "starts it", "waiting_for_approval": "releases it"}
EXPLAINED = ("failed", "refused", "abandoned", "succeeded")


def next_step(run: Mapping[str, Any], options: str = "") -> str:
    """The command and what it does; empty if the run needs no action.

    `options` are those of the command that shows it, as `options_given` returns them: the next one needs them too.
    """
    name, state = run.get("run_id", ""), str(run.get("state", ""))
    if state in APPROVAL:
        return f"`homeostat approve {name}{options}` {APPROVAL[state]}"
    return f"`homeostat why {name}{options}` explains it" if state in EXPLAINED else ""


def options_given(home: Path | None, retraining_url: str = "") -> str:
    """The options that name the stack, to append to another command; empty if none were given."""
    given = {"--home": home, "--retraining-url": retraining_url}
    return "".join(f" {option} {shlex.quote(str(value))}" for option, value in given.items() if value)
