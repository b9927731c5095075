"""The settings of one command: the environment, then the options of the command line."""

from __future__ import annotations

from pathlib import Path

from local_stack.settings import LocalStackSettings


def settings_with(home: Path | None = None, **changed: object) -> LocalStackSettings:
    """The settings of the environment, overridden by the options given; None and empty mean not given."""
    given = {name: value for name, value in {"home": home, **changed}.items() if value not in (None, "")}
    return LocalStackSettings().model_copy(update=given)
