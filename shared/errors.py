"""The tree of errors, split by who must act.

    HomeostatError
    ├── CallerError            the one who sent the request mends it (4xx)
    │   ├── InvalidRequest     a field is wrong; names field and expectation
    │   ├── NotFound        a model, version, prediction or run that does not exist
    │   └── Conflict           the world moved on: someone else was first, or the state forbids it
    ├── ProjectError           the owner of the model project mends it (loop.yaml, training command, model file)
    │   ├── InvalidLoopSpec
    │   ├── TrainingFailed
    │   └── UnservableModel
    ├── OperatorError          the one who runs the machine mends it (setting, port, disk, key)
    │   └── DependencyUnavailable     a part we talk to does not answer; work is kept and tried again
    └── IntegrityError        bytes differ from what was signed: nobody may go on with them

Every message says what is wrong; `hint` says what to do next. Errors that are none of these are unknown: doors answer them
with a fixed text and an id that stands in the log.
"""

from __future__ import annotations


class HomeostatError(Exception):
    """Something a person can act on. `hint` is a sentence or a command; empty where the message says it all."""

    status = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class CallerError(HomeostatError):
    """The request cannot be answered as it stands."""

    status = 400


class InvalidRequest(CallerError):
    """One field of the request is wrong. `row` is the index of the offending row, where there are rows."""

    status = 422

    def __init__(
        self,
        message: str,
        *,
        field: str,
        expected: str,
        row: int | None = None,
        status: int = 422,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.field = field
        self.expected = expected
        self.row = row
        self.status = status


class NotFound(CallerError):
    """The request names something this installation does not have."""

    status = 404


class Conflict(CallerError):
    """The state the request assumes is gone or forbids it."""

    status = 409


class ProjectError(HomeostatError):
    """The model project must be mended by its owner."""

    status = 422


class InvalidLoopSpec(ProjectError):
    """loop.yaml cannot be read or contradicts itself; the message names the key."""


class TrainingFailed(ProjectError):
    """The training command failed, hung, or left out a file it owes."""


class UnservableModel(ProjectError):
    """The model file cannot be loaded, has other inputs than the manifest, or answers nonsense."""


class OperatorError(HomeostatError):
    """A setting, a port, a disk or a key must be mended by the operator."""

    status = 503


class DependencyUnavailable(OperatorError):
    """A broker, store or service does not answer now; the caller keeps the work and tries again."""


class IntegrityError(HomeostatError):
    """A version folder holds other bytes than were signed."""
