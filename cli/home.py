"""The home that a command works on: the one given, the one in this folder, else that of the running stack."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from local_stack.client_settings import ClientSettings
from shared.errors import CallerError

NAMED_BY = ("HOMEOSTAT_HOME", "HOMEOSTAT_INFERENCE_URL", "HOMEOSTAT_DRIFT_URL", "HOMEOSTAT_RETRAINING_URL")


def _running_homes() -> list[Path]:
    from local_stack.running_stacks import running_homes  # psutil takes long to import

    return running_homes()


def find_home(
    given: Path | None,
    *urls: str,
    note: Callable[[str], None],
    running: Callable[[], list[Path]] = _running_homes,
) -> Path | None:
    """The home to pass on to the settings; None for their default. `urls` are addresses given as options.

    1. An option or a variable names the home or a service: nothing is looked up.
    2. The default home in this folder has had a stack: it is used.
    3. One stack runs elsewhere on this machine: its home is used, and `note` is called with a sentence that says so.

    Raises `CallerError` that lists the homes if several stacks run.
    """
    if given is not None or any(urls) or any(os.environ.get(name) for name in NAMED_BY):
        return given
    if (ClientSettings.home / "run").is_dir():
        return None
    homes = running()
    if not homes:
        return None
    if len(homes) > 1:
        listed = ", ".join(str(home) for home in homes)
        raise CallerError(
            f"{len(homes)} stacks run on this machine, and none in this folder",
            hint=f"name a home with --home: {listed}",
        )
    note(f"using the home of the running stack: {homes[0]}")
    return homes[0]
