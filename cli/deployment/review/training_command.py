"""Whether the program of `retraining.command` is in the project: a model packaged from elsewhere was not trained with it."""

from __future__ import annotations

from pathlib import Path

from cli.deployment.review.warning import LoopWarning
from shared.contracts.loop_spec import LoopSpec

_PROGRAMS = frozenset({".py", ".sh", ".r", ".jl"})


def command_warnings(loop: LoopSpec, project: Path) -> list[LoopWarning]:
    """A warning if the command names a program that is not in the folder `project`, and runs can start."""
    if loop.retraining is None or loop.automation == "observe":
        return []
    missing = [
        word
        for word in loop.retraining.command
        if Path(word).suffix.lower() in _PROGRAMS and not (project / word).exists()
    ]
    return [
        LoopWarning(
            "retraining.command",
            f"{project} has no {word}, so every retraining run would fail",
            "write it, or set `automation: observe`",
        )
        for word in missing[:1]
    ]
