"""Reading the metrics of several servers: with the key, and one that does not answer delays and hides no other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from services.retraining.phases.inference_servers import InferenceServers
from shared.access.client_key import ClientKey


@contextmanager
def server(body: bytes, *, hangs: Event | None = None) -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"{self.path} {self.headers.get('Authorization')}")
            if hangs is not None:
                hangs.wait(30)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    Thread(target=made.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{made.server_port}", seen
    finally:
        if hangs is not None:
            hangs.set()
        made.shutdown()
        made.server_close()


def test_each_server_is_read_with_the_key() -> None:
    with server(b"homeostat_x 1\n") as (first, seen), server(b"homeostat_x 2\n") as (second, _):
        found = InferenceServers((first, second), lambda: ClientKey("secret")).read()
    assert [(one.server, one.text, one.problem) for one in found] == [
        (first, "homeostat_x 1\n", ""),
        (second, "homeostat_x 2\n", ""),
    ]
    assert seen == ["/metrics Bearer secret"]


def test_a_server_that_hangs_or_is_gone_has_a_problem() -> None:
    with server(b"", hangs=Event()) as (hanging, _), server(b"homeostat_x 1\n") as (good, _):
        began = time.monotonic()
        found = InferenceServers(("http://127.0.0.1:9", hanging, good), lambda: ClientKey("k")).read()
        assert time.monotonic() - began < 10
    assert [bool(one.problem) for one in found] == [True, True, False]
    assert found[2].text == "homeostat_x 1\n"
