"""A model call that was stopped from outside."""

from __future__ import annotations

from shared.errors import UnservableModel


class CallStopped(UnservableModel):
    """The call was stopped; nothing is known of its result. It may be made again on a thread of its own."""
