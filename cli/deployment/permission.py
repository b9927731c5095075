"""Whether a deployment would be permitted, before anything is trained for it."""

from __future__ import annotations

from shared.access.caller import NotPermitted, Unauthenticated
from shared.errors import HomeostatError
from shared.http.service_client import ServiceClient


def require_permission(retraining: ServiceClient, model: str) -> None:
    """Raises Unauthenticated or NotPermitted if retraining refuses deployments of this command.

    A request that lacks everything is refused by the access check first, and for its body otherwise.
    """
    try:
        retraining.post(f"/models/{model}/deployments", {})
    except (NotPermitted, Unauthenticated):
        raise
    except HomeostatError:
        return
