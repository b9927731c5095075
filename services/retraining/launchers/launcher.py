"""The interface of launchers."""

from __future__ import annotations

from threading import Event
from typing import Protocol

from shared.models.training.training_process import TrainingJob


class Launcher(Protocol):
    """Runs training commands."""

    def train(self, job: TrainingJob, stop: Event) -> None:
        """Run the command to its end. Raises TrainingFailed, OperatorError, Interrupted."""
