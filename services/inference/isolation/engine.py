"""A version in the isolated process, used like one in the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.inference.declared_precision import Form
from shared.models.isolation.isolated_engine import Ask, IsolatedEngine


class TriedEngine(IsolatedEngine):
    """The engine of a version that is tried before it is served."""

    def __init__(self, loaded: Mapping[str, Any], form: Form, ask: Ask) -> None:
        """Raises as `IsolatedEngine` does."""
        self.device: str = loaded["device"]
        super().__init__(loaded, ask)
        self.batch_sizes: tuple[int, ...] = tuple(loaded["batch_sizes"])
        self.form = form
