"""One finding about `loop.yaml` and the rows of a deployment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoopWarning:
    """What will go wrong in service. `key` is the key of loop.yaml, or the column, that it is about; `hint` is what to do."""

    key: str
    message: str
    hint: str

    @property
    def text(self) -> str:
        """As one line."""
        return f"{self.key}: {self.message}; {self.hint}"


def named(names: list[str], limit: int = 5) -> str:
    """The first names, and how many more there are.

    >>> named(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
