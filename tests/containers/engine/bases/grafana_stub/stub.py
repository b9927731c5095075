"""Not Grafana: answers /api/health, keeps what is posted to /api/annotations in memory and lists it again."""

from __future__ import annotations

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEPT: list[dict[str, object]] = []


class Stub(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Health, or what was kept."""
        path = self.path.split("?")[0]
        if path == "/api/health":
            self._answer(200, {"database": "ok", "version": "stub"})
        elif path == "/api/annotations":
            self._answer(200, KEPT)
        else:
            self._answer(404, {"message": "stub: not found"})

    def do_POST(self) -> None:
        """Keep an annotation."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.split("?")[0] != "/api/annotations":
            self._answer(404, {"message": "stub: not found"})
            return
        KEPT.append({"id": len(KEPT) + 1, **json.loads(body)})
        self._answer(200, {"message": "Annotation added", "id": len(KEPT)})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("0.0.0.0", 3000), Stub).serve_forever()
