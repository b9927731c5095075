from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from shared.errors import OperatorError
from shared.http.server import open_listener
from tests.waiting import bound


def test_taken_port_names_its_setting() -> None:
    with open_listener("127.0.0.1", 0, "HOMEOSTAT_X_PORT") as first:
        port = first.getsockname()[1]
        with pytest.raises(OperatorError, match=f"port {port} on 127.0.0.1 cannot be opened") as refused:
            open_listener("127.0.0.1", port, "HOMEOSTAT_X_PORT")
    assert "HOMEOSTAT_X_PORT" in refused.value.hint


def test_interrupt_stops_the_server_in_order() -> None:
    """Ctrl-C is no error."""
    script = (
        "from shared.http.server import HttpServer, open_listener\n"
        "async def app(scope, receive, send): ...\n"
        "listener = open_listener('127.0.0.1', 0, 'x')\n"
        "server = HttpServer(app, listener)\n"
        "print('started', flush=True)\n"
        "server.serve_forever()\n"
        "print('stopped')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(bound(1))
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=bound(20))[0] == "stopped\n"
        assert process.returncode == 0
