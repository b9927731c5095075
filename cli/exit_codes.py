"""What a command's exit code says: who must act."""

from __future__ import annotations

from shared.errors import CallerError, HomeostatError, IntegrityError, OperatorError, ProjectError

DONE, FOUND_SOMETHING, WRONG_COMMAND, OURS, INTERRUPTED = 0, 1, 2, 70, 130

# Subclasses first: the first class an error belongs to tells its code.
BY_ERROR: tuple[tuple[type[HomeostatError], int], ...] = (
    (CallerError, 3),
    (ProjectError, 4),
    (OperatorError, 5),
    (IntegrityError, 6),
)

MEANINGS: dict[int, str] = {
    DONE: "done",
    FOUND_SOMETHING: "a check found something",
    WRONG_COMMAND: "the command line is wrong",
    3: "the request is wrong, or too late",
    4: "the model project must be mended: loop.yaml, training command, model file",
    5: "the machine must be mended, or a service does not answer",
    6: "a version holds other bytes than were signed",
    OURS: "a fault of ours; the trace is shown",
    INTERRUPTED: "interrupted",
}


def exit_code(error: HomeostatError) -> int:
    """The exit code of an error, by who must act."""
    return next((code for kind, code in BY_ERROR if isinstance(error, kind)), OURS)


def epilog() -> str:
    """The end of `homeostat --help`: where to begin, and what exit codes mean."""
    first = (
        "Begin with: [bold]homeostat demo --part 0.1[/], or [bold]homeostat up --detach[/], then "
        "[bold]homeostat init my-model[/]."
    )
    codes = ", ".join(
        f"{code} {meaning.partition(':')[0].partition(';')[0]}" for code, meaning in MEANINGS.items()
    )
    return f"{first}\n\nExit codes: {codes}."
