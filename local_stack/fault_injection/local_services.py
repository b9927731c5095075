"""The services that may receive injected rows: those of the stack that runs on this home."""

from __future__ import annotations

from urllib.parse import urlsplit

from local_stack.addresses import Addresses, addresses
from local_stack.fault_injection.limits import require_loopback
from local_stack.fault_injection.processes import running_stack
from local_stack.settings import LocalStackSettings
from shared.errors import CallerError


def find_local_services(settings: LocalStackSettings) -> Addresses:
    """How to call the stack that runs on this home.

    Raises `CallerError` if a setting names another address, such as another stack on this machine or a tunnel to a remote server;
    `OperatorError` if no stack runs on this home.
    """
    given = {"inference": settings.inference_url, "drift": settings.drift_url}
    for name, url in given.items():
        if url:
            require_loopback(name, url)
    state = running_stack(settings)
    for name, url in given.items():
        if url and urlsplit(url).port != state.ports[name]:
            raise CallerError(
                f"HOMEOSTAT_{name.upper()}_URL is {url}; {name} of the stack on {settings.home} has port {state.ports[name]}",
                hint=f"unset HOMEOSTAT_{name.upper()}_URL, or give the home of that stack with --home",
            )
    inference, drift = (
        state.base_url(name) or f"http://{settings.host}:{state.ports[name]}" for name in given
    )
    require_loopback("inference", inference)
    require_loopback("drift", drift)
    return addresses(settings)
