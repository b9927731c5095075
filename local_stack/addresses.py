"""How to call the services: their base URLs, from settings, from the running stack or by default, and the key to send."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local_stack.client_settings import ClientSettings
from local_stack.state import read_state
from shared.access.client_key import ClientKey, find_client_key
from shared.http.service_client import TIMEOUT_S, ServiceClient
from shared.tls.client_environment import listener_scheme

if TYPE_CHECKING:  # pydantic takes longer to import than a whole command may
    from local_stack.settings import LocalStackSettings


@dataclass(frozen=True)
class Addresses:
    """Base URLs of the services, and the key to send to them."""

    inference: str
    drift: str
    retraining: str
    key: ClientKey = field(default=ClientKey(), repr=False)

    def client(self, service: str, *, timeout_s: float = TIMEOUT_S, hint: str = "") -> ServiceClient:
        """A client for `inference`, `drift` or `retraining`. Raises OperatorError where the key cannot be read."""
        url = str(getattr(self, service))
        return ServiceClient(service, url, timeout_s=timeout_s, hint=hint, api_key=self.key.for_url(url))

    def actor(self, given: str) -> str:
        """The name to record beside that of the key: the one given, else this user's with the local key, which many may share."""
        return given or ("" if self.key.given else getpass.getuser())


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
        key=find_client_key(settings.home, os.environ),
    )
