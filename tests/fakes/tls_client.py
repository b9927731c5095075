"""TLS clients over plain sockets."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from local_stack.certificates import CertificateFolder
from tests.waiting import bound


def trusting(files: CertificateFolder, *, with_certificate: bool = False) -> ssl.SSLContext:
    """A client's context that trusts the folder's CA."""
    context = ssl.create_default_context(cafile=str(files.ca))
    if with_certificate:
        context.load_cert_chain(files.client, files.client_key)
    return context


def connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection whose handshake is done."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=bound(10))
    try:
        return context.wrap_socket(plain, server_hostname="127.0.0.1")
    except BaseException:
        plain.close()
        raise


def exchange(port: int, context: ssl.SSLContext, request: bytes) -> bytes:
    """Everything that the server sends until it closes."""
    found = bytearray()
    with connect(port, context) as client:
        client.sendall(request)
        try:
            while data := client.recv(65_536):
                found += data
        except (ssl.SSLEOFError, ConnectionResetError):
            pass
    return bytes(found)


def client_hello(context: ssl.SSLContext) -> bytes:
    """The first message of a handshake."""
    sent = ssl.MemoryBIO()
    half = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="127.0.0.1")
    try:
        half.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return sent.read()


def certificate_of(port: int, ca: Path) -> bytes:
    """The certificate that a server shows, as DER."""
    with connect(port, ssl.create_default_context(cafile=str(ca))) as client:
        return client.getpeercert(binary_form=True) or b""
