"""The tree of errors, split by who must act.

    HomeostatError
    ├── CallerError            the client must fix the request (4xx)
    │   ├── InvalidRequest     a field is wrong; names field and expectation
    │   ├── NotFound           a model, version, prediction or run that does not exist
    │   └── Conflict           the state has changed, or does not allow the request
    ├── ProjectError           the owner of the model project must fix it (loop.yaml, training command, model file)
    │   ├── InvalidLoopSpec
    │   ├── TrainingFailed
    │   ├── UnservableModel
    │   └── ExportRefused
    ├── OperatorError          the operator must fix it (setting, port, disk, key)
    │   ├── DependencyUnavailable  a broker, store or service is unavailable; the work is kept and retried
    │   └── RowsNotReady           some rows of the request cannot be taken yet, the others could be
    └── IntegrityError         files differ from what was signed and must not be used

Every message says what is wrong; `hint` says what to do next. All other errors are unknown: services respond with a fixed
text and an `error_id` that is in the log (shared/http/errors.py).
"""

from __future__ import annotations

from collections.abc import Sequence


class HomeostatError(Exception):
    """An error that a person can fix. `hint` is a sentence or a command; empty if the message is enough."""

    status = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        # Below a table, the hint has a line of its own: the last one of a traceback.
        return f"{self.message}\n{self.hint}" if "\n" in self.message else f"{self.message} ({self.hint})"


class CallerError(HomeostatError):
    """The client must change the request."""

    status = 400


class InvalidRequest(CallerError):
    """One field of the request is wrong. `row` is the index of the row, if the request has rows."""

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
    """The request names something that does not exist here."""

    status = 404


class Conflict(CallerError):
    """The state has changed, or does not allow the request."""

    status = 409


class ProjectError(HomeostatError):
    """The owner of the model project must fix it."""

    status = 422


class InvalidLoopSpec(ProjectError):
    """loop.yaml cannot be read or is inconsistent; the message names the key."""


class TrainingFailed(ProjectError):
    """The training command failed, timed out, or did not write a required file."""


class UnservableModel(ProjectError):
    """The model file cannot be loaded, or does not match the model contract."""


class ExportRefused(ProjectError):
    """A fitted model cannot be exported, or its export returns other scores than the original."""


class OperatorError(HomeostatError):
    """The operator must fix a setting, port, disk or key."""

    status = 503


class DependencyUnavailable(OperatorError):
    """A broker, store or service is unavailable; the caller keeps the work and retries."""


class RowsNotReady(OperatorError):
    """Some rows of the request cannot be accepted yet. `rows` has their indices; the other rows can be sent now."""

    def __init__(self, message: str, *, rows: Sequence[int], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rows = tuple(rows)


class IntegrityError(HomeostatError):
    """The files of a version do not match its signature."""
