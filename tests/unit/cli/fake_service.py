"""An HTTP service with fixed answers that records its requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

VERSION = "ab" * 32
# Two releases, as `GET /models/flights/releases` answers.
RELEASES = [
    {
        "model": "flights",
        "generation": number,
        "version": VERSION,
        "reason": "deployment",
        "actor": "ada",
        "run_id": "",
        "note": "",
        "released_at": "2013-01-15T00:00:00Z",
    }
    for number in (1, 2)
]


@dataclass
class FakeService:
    """`answers` maps "GET /path" (without query) to (status, body); `asked` holds (request, body), in order.

    Requests in `hangs_up` are received, and the connection is closed without an answer.
    """

    url: str = ""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    hangs_up: set[str] = field(default_factory=set)


@contextmanager
def fake_service() -> Iterator[FakeService]:
    """A running fake on a free port."""
    fake = FakeService()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET", None)

        def do_POST(self) -> None:
            self._answer("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, method: str, body: Any) -> None:
            fake.asked.append((f"{method} {self.path}", body))
            path = self.path.partition("?")[0]
            if f"{method} {path}" in fake.hangs_up:
                self.close_connection = True
                return
            status, content = fake.answers.get(f"{method} {path}", (404, {"error": f"no {path} here"}))
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
