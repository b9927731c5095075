"""The end of each `homeostat inject` command: the result, and the commands that show its effect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.output import Output
from local_stack.state import read_state

if TYPE_CHECKING:
    from local_stack.settings import LocalStackSettings

DEFAULT_CONSOLE = "http://127.0.0.1:8005"


def show_result(
    output: Output, settings: LocalStackSettings, document: dict[str, Any], text: str, cause: str = ""
) -> None:
    """Print the result and the next commands. `cause` is the key of the verdict's cause, if there is one."""
    option = "" if settings.home.absolute() == Path(".homeostat").absolute() else f" --home {settings.home}"
    state = read_state(settings.home)
    console = (state.urls.get("console") if state is not None else None) or DEFAULT_CONSOLE
    commands = [f"homeostat status{option}"]
    commands += [f"homeostat why {cause}{option}"] if cause else [f"homeostat doctor{option}"]
    output.result({**document, "next": [*commands, console]}, text)
    output.note("next: " + ", ".join(f"`{command}`" for command in commands) + f", {console}")
