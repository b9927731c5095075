from __future__ import annotations

import signal
import subprocess
import sys
import time
from threading import Thread
from typing import Any

import pytest

from shared.errors import OperatorError
from shared.http import server as server_module
from shared.http.server import HttpServer, open_listener
from tests import local_http
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


@pytest.mark.parametrize(
    ("proxies", "client"), [("", "127.0.0.1"), ("127.0.0.1", "10.9.8.7"), ("10.0.0.0/8", "127.0.0.1")]
)
def test_only_trusted_proxies_say_who_sends(
    proxies: str, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program of this machine is no proxy because it sends the header. Also: an exit does not wait for the next tick."""
    monkeypatch.setattr(server_module, "_TICK_SECONDS", 1000.0)
    seen: list[tuple[str, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append((scope["client"][0], scope["scheme"]))
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    listener = open_listener("127.0.0.1", 0, "x")
    server = HttpServer(app, listener, proxies=proxies)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        headers = {"X-Forwarded-For": "10.9.8.7", "X-Forwarded-Proto": "https"}
        local_http.get(f"http://127.0.0.1:{listener.getsockname()[1]}/", headers=headers, timeout=bound(20))
    finally:
        server.should_exit = True
        thread.join(bound(20))
    assert not thread.is_alive()
    assert seen == [(client, "https" if client == "10.9.8.7" else "http")]
