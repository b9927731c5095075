"""What is known of a task: kept as JSON in its folder. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import orjson

# As BentoML's clients know them.
TaskStatus = Literal["pending", "in_progress", "completed", "failed", "canceled"]
FINISHED: frozenset[str] = frozenset({"completed", "failed", "canceled"})


@dataclass(frozen=True)
class FileOptions:
    """How a file is scored: the model, and the time of every row or the column that holds it. None was not given."""

    model: str | None = None
    event_time: str | None = None
    event_time_column: str | None = None


@dataclass
class TaskRecord:
    """One task. Times are ISO 8601 in UTC; `error` is the body of the error response, `error_status` its status.

    `rows_done`: rows that are answered and logged; of a task whose server was killed, at least so many.
    """

    task_id: str
    created_at: str
    options: FileOptions
    status: TaskStatus = "pending"
    executed_at: str = ""
    completed_at: str = ""
    rows: int = 0
    rows_done: int = 0
    error_status: int = 0
    error: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in FINISHED

    def report(self) -> dict[str, Any]:
        """The body of the status response: BentoML's fields, and progress."""
        return {
            "task_id": self.task_id,
            "status": self.status,
            "created_at": self.created_at,
            "executed_at": self.executed_at or None,
            "completed_at": self.completed_at or None,
            "rows": self.rows,
            "rows_done": self.rows_done,
            **self.error,
        }

    def dump(self) -> bytes:
        """As JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def load(cls, text: bytes) -> TaskRecord:
        """From JSON; fields of later versions are left out."""
        document = orjson.loads(text)
        known = {one.name for one in fields(cls)}
        document = {name: value for name, value in document.items() if name in known}
        return cls(**document | {"options": FileOptions(**document["options"])})
