"""Where rows may be injected: the services of the stack that runs on this home, wherever settings point."""

from __future__ import annotations

from urllib.parse import urlsplit

from local_stack.fault_injection.limits import require_loopback
from local_stack.fault_injection.processes import stack_of
from local_stack.settings import LocalStackSettings
from shared.errors import CallerError


def find_local(settings: LocalStackSettings) -> tuple[str, str]:
    """Base URLs of inference and drift, as this home's running stack has them and as nothing else may name them.

    Raises `CallerError` where a setting leads elsewhere, be it another stack of this machine or a tunnel to somebody's
    servers; `OperatorError` where no stack runs on this home.
    """
    given = {"inference": settings.inference_url, "drift": settings.drift_url}
    for name, url in given.items():
        if url:
            require_loopback(name, url)
    state = stack_of(settings)
    for name, url in given.items():
        if url and urlsplit(url).port != state.ports[name]:
            raise CallerError(
                f"HOMEOSTAT_{name.upper()}_URL is {url}; {name} of the stack on {settings.home} has port {state.ports[name]}",
                hint=f"unset HOMEOSTAT_{name.upper()}_URL, or name that stack's home with --home",
            )
    inference, drift = (f"http://{settings.host}:{state.ports[name]}" for name in given)
    require_loopback("inference", inference)
    require_loopback("drift", drift)
    return inference, drift
