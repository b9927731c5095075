"""A small S3 in memory, over TLS: objects of one bucket, listed, read, and written if absent."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from local_stack.certificates import CertificateFolder

BUCKET = "bucket"
_MODIFIED = "2026-01-01T00:00:00.000Z"


class FakeS3(ThreadingHTTPServer):
    """`objects` by key; `requests` counts them."""

    daemon_threads = True

    def __init__(self, files: CertificateFolder | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.requests = 0
        self.lock = threading.Lock()
        if files is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(files.server, files.server_key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"{'http' if files is None else 'https'}://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """A client that does not trust the certificate is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeS3

    def do_GET(self) -> None:
        self.server.requests += 1
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        if "list-type" in query:
            self._list(query.get("prefix", [""])[0], query.get("delimiter", [""])[0])
            return
        content = self.server.objects.get(self._key())
        if content is None:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif (wanted := self.headers.get("Range")) is not None:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            part = content[int(first) :] if not last else content[int(first) : int(last) + 1]
            if not first:
                part = content[-int(last) :]
            start = content.index(part) if not first else int(first)
            span = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
            self._send(206, part, {"Content-Range": span, "ETag": _etag(content)})
        else:
            self._send(200, content, {"ETag": _etag(content)})

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        self.server.requests += 1
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            if self.headers.get("If-None-Match") == "*" and self._key() in self.server.objects:
                self._send(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                return
            self.server.objects[self._key()] = content
        self._send(200, b"", {"ETag": _etag(content)})

    def do_DELETE(self) -> None:
        self.server.requests += 1
        self.server.objects.pop(self._key(), None)
        self._send(204, b"")

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/")

    def _list(self, prefix: str, delimiter: str) -> None:
        keys = sorted(key for key in self.server.objects if key.startswith(prefix))
        folders = {
            prefix + key[len(prefix) :].split(delimiter)[0] + delimiter
            for key in keys
            if delimiter and delimiter in key[len(prefix) :]
        }
        shown = [key for key in keys if not any(key.startswith(folder) for folder in folders)]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_MODIFIED}</LastModified>"
            f"<ETag>{_etag(self.server.objects[key])}</ETag><Size>{len(self.server.objects[key])}</Size></Contents>"
            for key in shown
        )
        entries += "".join(
            f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
            for folder in sorted(folders)
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        self._send(200, body.encode())

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _etag(content: bytes) -> str:
    return f'"{md5(content, usedforsecurity=False).hexdigest()}"'


@contextmanager
def fake_s3(files: CertificateFolder | None) -> Iterator[FakeS3]:
    """A running one, with TLS if there are certificates."""
    server = FakeS3(files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
