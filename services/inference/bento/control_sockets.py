"""Where BentoML's supervisor is controlled: UNIX sockets that only the service's user can reach.

BentoML lets Circus listen on two TCP ports of 127.0.0.1, without authentication. Circus's command `add` starts any program, so
every user of the machine could run programs as the service. There is no setting for it (BentoML 1.4.39).
"""

from __future__ import annotations

import shutil
from tempfile import mkdtemp
from typing import Any

from bentoml._internal.utils import circus as arbiters


class PrivateArbiter(arbiters.Arbiter):
    """BentoML's arbiter with its sockets in a folder of its own, which is removed when it stops."""

    def __init__(self, watchers: Any, endpoint: str, pubsub_endpoint: str, **options: Any) -> None:
        # Readable and writable by this user only; short, because the path of a socket has at most 107 bytes.
        folder = mkdtemp(prefix="homeostat-control-")
        super().__init__(watchers, f"ipc://{folder}/control", f"ipc://{folder}/events", **options)
        self.exit_stack.callback(shutil.rmtree, folder, ignore_errors=True)


def keep_control_private() -> None:
    """From now on, BentoML's supervisor in this process uses private sockets. Call it before the supervisor is made."""
    arbiters.Arbiter = PrivateArbiter  # type: ignore[misc]
