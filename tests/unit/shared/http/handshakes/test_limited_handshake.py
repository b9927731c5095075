"""TLS connections within limits, over real sockets; the numbers are small."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from random import Random
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from local_stack.certificates import CertificateFolder, create_certificates
from shared.http.connections import Connections, Limits
from shared.http.handshakes.limited_handshake import limited_handshake
from shared.http.server import HttpServer, open_listener
from shared.tls.server_certificate import server_certificate
from shared.tls.settings import TlsSettings
from tests.fakes.tls_client import certificate_of, client_hello, connect, exchange, trusting
from tests.waiting import bound, eventually

LIMITS = Limits(connections=4, backlog=8, receive_seconds=0.7, write_seconds=0.5)
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
LARGE = b"x" * (8 << 20)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the scheme of the request, or eight megabytes."""
    if scope["type"] != "http":
        return
    body = LARGE if scope["path"] == "/large" else scope["scheme"].encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def limits() -> Limits:
    return LIMITS


@pytest.fixture
def mutual() -> bool:
    return False


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> Any:
    """Images without uvloop have asyncio's own loop."""
    return request.param


@pytest.fixture
def port(limits: Limits, files: CertificateFolder, mutual: bool, loop: Any) -> Iterator[int]:
    listener = open_listener("127.0.0.1", 0, "another port")
    settings = TlsSettings(
        certificate=files.server, key=files.server_key, client_ca=files.ca if mutual else None
    )
    server = HttpServer(
        app, listener, limits=limits, graceful_seconds=1, certificate=server_certificate(settings)
    )
    server.config.loop = loop
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield int(listener.getsockname()[1])
    server.should_exit = True
    thread.join(bound(10))
    assert not thread.is_alive()


def received(client: socket.socket) -> bytes:
    found = bytearray()
    with suppress(ConnectionResetError, ssl.SSLEOFError):
        while data := client.recv(65_536):
            found += data
    client.close()
    return bytes(found)


def plain(port: int, data: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=bound(10))
    client.sendall(data)
    return client


def test_request_is_answered_over_tls(port: int, files: CertificateFolder) -> None:
    answer = exchange(port, trusting(files), GET)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"https")


def test_large_response_is_complete(port: int, files: CertificateFolder) -> None:
    answer = exchange(port, trusting(files), GET.replace(b"/ ", b"/large ", 1))
    assert answer.endswith(LARGE)


def test_request_sent_with_the_end_of_the_handshake_is_answered(port: int, files: CertificateFolder) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(files).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with plain(port) as client:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.sendall(outgoing.read())
                incoming.write(client.recv(65_536))
        tls.write(GET)
        client.sendall(outgoing.read())  # Finished and the request, in one packet
        found = b""
        while not found.endswith(b"https") and (arrived := client.recv(65_536)):
            incoming.write(arrived)
            with suppress(ssl.SSLWantReadError):
                while data := tls.read():
                    found += data
    assert found.startswith(b"HTTP/1.1 200")


def test_unknown_ca_is_noticed_by_the_client(port: int) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(port, ssl.create_default_context())


def test_old_tls_is_refused(port: int, files: CertificateFolder) -> None:
    context = trusting(files)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        connect(port, context)


@pytest.mark.parametrize("limits", [replace(LIMITS, receive_seconds=30)])
def test_plain_http_is_refused_at_once_without_a_traceback(
    port: int, files: CertificateFolder, caplog: pytest.LogCaptureFixture
) -> None:
    begun = time.monotonic()
    with caplog.at_level(logging.WARNING):
        answer = received(plain(port, GET))
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.endswith(b'"use an address that begins with https://"}')
        for nonsense in (b"\x00" * 100, b"\x16" * 100, b"\x16\x03\x01\x00\x05hello"):
            received(plain(port, nonsense))
    assert time.monotonic() - begun < bound(5)
    assert "Traceback" not in caplog.text
    assert exchange(port, trusting(files), GET).endswith(b"https")


def test_half_a_handshake_has_the_deadline_of_a_request(port: int, files: CertificateFolder) -> None:
    hello = client_hello(trusting(files))
    for beginning in (b"", hello[:50], hello):
        begun = time.monotonic()
        received(plain(port, beginning))
        assert 0.5 < time.monotonic() - begun < bound(5)


@pytest.mark.parametrize("limits", [replace(LIMITS, receive_seconds=4)])
def test_handshake_is_part_of_the_first_requests_time(port: int, files: CertificateFolder) -> None:
    begun = time.monotonic()
    client = plain(port)
    time.sleep(3)
    secured = trusting(files).wrap_socket(client, server_hostname="127.0.0.1")
    received(secured)
    assert 3.5 < time.monotonic() - begun < 6.5, "another four seconds from the handshake on are seven"


@pytest.mark.parametrize("limits", [replace(LIMITS, receive_seconds=600)])
def test_half_done_handshakes_give_way_to_requests(port: int, files: CertificateFolder) -> None:
    hello = client_hello(trusting(files))
    silent = [plain(port, (b"", hello[:40], hello)[number % 3]) for number in range(40)]
    for _ in range(5):
        assert exchange(port, trusting(files), GET).endswith(b"https")

    def left_open() -> int:
        count = 0
        for client in silent:
            client.setblocking(False)
            try:
                while data := client.recv(65_536):
                    pass
                count += data != b""
            except BlockingIOError:
                count += 1
            except ConnectionResetError:
                pass
        return count

    eventually(lambda: left_open() <= LIMITS.connections, "the oldest are closed")
    for client in silent:
        client.close()


@pytest.mark.parametrize("limits", [replace(LIMITS, receive_seconds=60)])
def test_connections_that_end_at_any_moment_leave_no_traceback(
    port: int, files: CertificateFolder, caplog: pytest.LogCaptureFixture
) -> None:
    context = trusting(files)
    hello, random = client_hello(context), Random(5)
    with caplog.at_level(logging.WARNING):
        for _ in range(600):
            # The server closes the oldest of them for newer ones, in any phase of the handshake.
            client = plain(port)
            if random.random() < 0.8:
                with suppress(ConnectionError):
                    client.sendall(hello[: random.choice((1, 100, len(hello)))])
            if random.random() < 0.3:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
            if random.random() < 0.5:
                client.close()
        assert exchange(port, context, GET).endswith(b"https")
        gc.collect()  # an exception that nobody has retrieved is logged when its task goes
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("kind", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_connection_closed_before_its_handshake_is_no_error(
    files: CertificateFolder, kind: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    certificate = server_certificate(TlsSettings(certificate=files.server, key=files.server_key))
    assert certificate is not None

    class Closed(limited_handshake(Connections(LIMITS), certificate)):  # type: ignore[misc]
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.abort()  # as the limits do for a newer connection

    async def serve() -> list[dict[str, Any]]:
        loop, problems = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: problems.append(context))
        server = await loop.create_server(
            lambda: Closed(server_state=SimpleNamespace(connections=set())), "127.0.0.1", 0
        )
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(client_hello(trusting(files)))
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        await asyncio.sleep(0.1)
        server.close()
        gc.collect()
        return problems

    with asyncio.Runner(loop_factory=kind) as runner:
        assert runner.run(serve()) == []


def test_renewed_certificate_is_shown_to_new_connections(port: int, files: CertificateFolder) -> None:
    kept = connect(port, trusting(files))
    before = certificate_of(port, files.ca)
    create_certificates(files.folder)
    eventually(lambda: certificate_of(port, files.ca) != before, "the new certificate is shown")
    assert kept.getpeercert(binary_form=True) == before
    kept.close()


@pytest.mark.parametrize("mutual", [True])
def test_client_certificate_is_required(port: int, files: CertificateFolder) -> None:
    assert exchange(port, trusting(files, with_certificate=True), GET).endswith(b"https")
    # In TLS 1.3 the client's handshake ends before the server's.
    assert exchange(port, trusting(files), GET) == b""
