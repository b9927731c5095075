"""Refuses a deployment that would write into another home than that of the stack which it calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.errors import OperatorError

if TYPE_CHECKING:
    from local_stack.addresses import Addresses
    from local_stack.settings import LocalStackSettings

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})


def _home_on(port: int) -> Path | None:
    from local_stack.ports import home_on  # psutil takes long to import

    return home_on(port)


def require_home_of(
    base_url: str, home: Path, *, project: str, home_on: Callable[[int], Path | None] = _home_on
) -> None:
    """Raise `OperatorError` with both homes if the stack that listens at `base_url` runs on another home than `home`.

    A version is signed with the keys of `home` and written to its model store: another stack would not find it, and would
    refuse its signature. Nothing is known, and nothing refused, of a stack on another machine, in a container or of another
    user.
    """
    address = urlsplit(base_url)
    if address.hostname not in _LOCAL or address.port is None:
        return
    found = home_on(address.port)
    if found is None or found.resolve() == home.resolve():
        return
    raise OperatorError(
        f"this would write the version to {home.absolute()}, but the stack at {base_url} runs on {found}",
        hint=f"for that stack: `homeostat deploy {project} --home {found}`, with your other options; for the stack of "
        f"{home.absolute()}: leave out --retraining-url, and unset HOMEOSTAT_RETRAINING_URL and HOMEOSTAT_RETRAINING_PORT",
    )


def require_retraining(settings: LocalStackSettings, where: Addresses, project: Path) -> None:
    """Before the training: raise `OperatorError` if retraining cannot be reached or belongs to the stack of another home, and
    `CallerError` if the key of this command may not deploy."""
    from cli.deployment.permission import require_permission
    from local_stack.running_stacks import other_stacks
    from local_stack.state import read_state

    if not settings.retraining_url and read_state(settings.home) is None:
        others = other_stacks(settings.home)
        if others:
            raise OperatorError(f"no stack runs on {settings.home.absolute()}", hint=others)
    require_home_of(where.retraining, settings.home, project=str(project))
    with where.client("retraining") as retraining:
        retraining.read("/health/live")
        require_permission(retraining, "any")
