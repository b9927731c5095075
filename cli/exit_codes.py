"""Exit codes: each says who must act."""

from __future__ import annotations

from shared.errors import CallerError, HomeostatError, IntegrityError, OperatorError, ProjectError

DONE, FOUND_SOMETHING, WRONG_COMMAND, OURS, INTERRUPTED = 0, 1, 2, 70, 130

# Subclasses first: the first class that fits decides.
BY_ERROR: tuple[tuple[type[HomeostatError], int], ...] = (
    (CallerError, 3),
    (ProjectError, 4),
    (OperatorError, 5),
    (IntegrityError, 6),
)

MEANINGS: dict[int, str] = {
    DONE: "success",
    FOUND_SOMETHING: "a check failed",
    WRONG_COMMAND: "wrong command line",
    3: "the request is wrong or conflicts with the current state",
    4: "error in the model project: loop.yaml, training command, model file",
    5: "error in the installation: a setting, a port, the disk, or a service that cannot be reached",
    6: "a version differs from its signature",
    OURS: "internal error; the traceback is shown",
    INTERRUPTED: "interrupted",
}


def exit_code(error: HomeostatError) -> int:
    """The exit code of an error."""
    return next((code for kind, code in BY_ERROR if isinstance(error, kind)), OURS)


def epilog() -> str:
    """The end of `homeostat --help`: the first commands, and what exit codes mean."""
    first = (
        "Start with: [bold]homeostat demo --part 0.1[/], or [bold]homeostat up --detach[/], then "
        "[bold]homeostat init my-model[/]."
    )
    codes = ", ".join(
        f"{code} {meaning.partition(':')[0].partition(';')[0]}" for code, meaning in MEANINGS.items()
    )
    return f"{first}\n\nExit codes: {codes}."
