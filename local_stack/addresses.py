"""The base URLs of the services: from settings, from the running stack, or by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_stack.client_settings import ClientSettings
from local_stack.state import read_state
from shared.tls.client_environment import listener_scheme

if TYPE_CHECKING:  # pydantic takes longer to import than a whole command may
    from local_stack.settings import LocalStackSettings


@dataclass(frozen=True)
class Addresses:
    """Base URLs of the services."""

    inference: str
    drift: str
    retraining: str


def addresses(settings: LocalStackSettings | ClientSettings) -> Addresses:
    """Base URLs: from an option or setting first, else from the running stack of this home, else the default ports."""
    found = read_state(settings.home)
    ports = found.ports if found is not None else {}

    def base(given: str, name: str, port: int) -> str:
        running = found.base_url(name) if found is not None else ""
        by_port = f"{listener_scheme()}://{settings.host}:{ports.get(name, port)}"
        return given.rstrip("/") or running or by_port

    return Addresses(
        inference=base(settings.inference_url, "inference", settings.inference_port),
        drift=base(settings.drift_url, "drift", settings.drift_port),
        retraining=base(settings.retraining_url, "retraining", settings.retraining_port),
    )
