"""The interface of what runs a training job."""

from __future__ import annotations

from threading import Event
from typing import Protocol

from shared.models.training_command import TrainingJob


class Launcher(Protocol):
    """Runs a training command somewhere."""

    def train(self, job: TrainingJob, stop: Event) -> None:
        """Run it to its end. Raises TrainingFailed, OperatorError, Interrupted."""
