"""The limits of all training commands of an installation, whatever their loop.yaml asks for."""

from __future__ import annotations

from services.retraining.settings import RetrainingSettings
from shared.models.training.confinement import Confinement


def training_ceiling(settings: RetrainingSettings) -> Confinement:
    """The limits in the settings of retraining."""
    return Confinement(
        memory_bytes=settings.training_memory_bytes,
        cpu_seconds=settings.training_cpu_seconds,
        network=settings.training_network != "none",
    )
