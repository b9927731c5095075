"""Who gets a credential: not another user of this machine who has taken the port of a stopped service."""

from __future__ import annotations

from collections.abc import Collection

from shared.access.listener_owner import foreign_listener
from shared.errors import DependencyUnavailable


def check_listener(url: str, owners: Collection[int]) -> None:
    """Raises DependencyUnavailable where the URL is a port of this machine on which another user than `owners` listens.

    Over TLS, the certificate proves who listens.
    """
    if url.startswith("https://"):
        return
    found = foreign_listener(url, owners)
    if found is not None:
        port, user = found
        raise DependencyUnavailable(
            f"port {port} is served by another user (id {user}) than the console; the credential was not sent",
            hint="run the services as the user of the console, or give them TLS and https:// addresses",
        )
