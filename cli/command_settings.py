"""The settings of one command: the environment, then the options of the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from local_stack.client_settings import ClientSettings

if TYPE_CHECKING:  # pydantic takes longer to import than a whole command may
    from local_stack.settings import LocalStackSettings


def client_settings(home: Path | None = None, **given: object) -> ClientSettings:
    """What a command needs to call the services; None and empty options mean not given."""
    return ClientSettings.read(os.environ, home=home, **given)


def settings_with(home: Path | None = None, **changed: object) -> LocalStackSettings:
    """All settings, overridden by the options given; None and empty mean not given. Raises `OperatorError` for a wrong value."""
    from pydantic import ValidationError

    from local_stack.settings import LocalStackSettings
    from shared.errors import OperatorError
    from shared.validation_text import problem_text

    given = {name: value for name, value in {"home": home, **changed}.items() if value not in (None, "")}
    try:
        return LocalStackSettings().model_copy(update=given)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0]) if problem["loc"] else ""
        variable = name if name.isupper() else f"HOMEOSTAT_{name.upper()}"
        raise OperatorError(
            problem_text(variable, problem), hint="docs/configuration.md lists every setting and its values"
        ) from error
