"""The home that a command works on: the one given, the one in this folder, else that of the running stack."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from local_stack.client_settings import ClientSettings
from local_stack.running_stacks import is_running, listed
from shared.errors import CallerError, OperatorError

# Either is enough: `run` is the supervisor's, and a home that was moved or restored may have only its keys and data.
MADE_BY_A_STACK = ("run", "keys")
HOME = "HOMEOSTAT_HOME"
URLS = ("HOMEOSTAT_INFERENCE_URL", "HOMEOSTAT_DRIFT_URL", "HOMEOSTAT_RETRAINING_URL")
NAMED_BY = (HOME, *URLS)


def named_home(given: Path | None) -> Path | None:
    """The home that an option or the variable names; None if neither does."""
    variable = os.environ.get(HOME)
    return given or (Path(variable) if variable else None)


def _running_homes() -> list[Path]:
    from local_stack.running_stacks import running_homes  # psutil takes long to import

    return running_homes()


def find_home(
    given: Path | None,
    *urls: str,
    note: Callable[[str], None],
    running: Callable[[], list[Path]] = _running_homes,
    may_be_stopped: bool = False,
) -> Path | None:
    """The home to pass on to the settings; None for their default. `urls` are addresses given as options.

    1. An option or a variable names a service: nothing is looked up.
    2. An option or a variable names the home: it is used, but not if its stack is stopped. Without the state file of a running
       stack the command would call the default ports, and so perhaps another stack. `may_be_stopped` is for a command that
       does not: it gets the home.
    3. There is a home in this folder: it is used, but not if its stack is stopped while others run. With `may_be_stopped`
       `note` is called with a sentence about the others.
    4. One stack runs elsewhere on this machine: its home is used, and `note` is called with a sentence that says so.

    Raises `OperatorError` in cases 2 and 3, `CallerError` if several stacks run elsewhere; all list the running homes.
    """
    if any(urls) or any(os.environ.get(name) for name in URLS):
        return given
    named = named_home(given)
    if named is not None:
        if not may_be_stopped and not is_running(named):
            start, others = f"start it with `homeostat up --home {named}`", listed(running())
            raise OperatorError(
                f"the stack of {named.absolute()} is not running",
                hint=f"{start}, or {others}" if others else start,
            )
        return given
    here = ClientSettings.home
    if any((here / folder).is_dir() for folder in MADE_BY_A_STACK):
        others = "" if is_running(here) else listed(running())
        if others and not may_be_stopped:
            raise OperatorError(f"no stack runs on {here.absolute()}", hint=others)
        if others:
            note(f"no stack runs on {here.absolute()}; {others}")
        return None
    homes = running()
    if not homes:
        return None
    if len(homes) > 1:
        raise CallerError(
            f"{len(homes)} stacks run on this machine, and none in this folder", hint=listed(homes)
        )
    note(f"using the home of the running stack: {homes[0]}")
    return homes[0]
