from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from local_stack.certificates import CertificateFolder, create_certificates
from services.console.aggregation.poller import describe
from services.console.aggregation.renewed_transport import RenewedTransport
from shared.errors import OperatorError
from shared.tls.client_environment import CA, CLIENT_CERTIFICATE, CLIENT_KEY, client_tls
from tests.fakes.tls_server import tls_server
from tests.waiting import bound


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def transport(files: CertificateFolder, clock: Clock) -> RenewedTransport:
    names = {CA: files.ca, CLIENT_CERTIFICATE: files.client, CLIENT_KEY: files.client_key}
    tls = client_tls({name: str(path) for name, path in names.items()})
    return RenewedTransport(tls, httpx.Limits(max_connections=4), clock=clock)


async def asked(client: httpx.AsyncClient, port: int) -> int:
    headers = {"Connection": "close"}
    return (await client.get(f"https://127.0.0.1:{port}/status", headers=headers)).status_code


def test_renewed_files_are_used(tmp_path: Path) -> None:
    asyncio.run(renew(tmp_path))


async def renew(tmp_path: Path) -> None:
    files, clock = create_certificates(tmp_path / "tls"), Clock()
    other = create_certificates(tmp_path / "other")
    async with httpx.AsyncClient(transport=transport(files, clock)) as client:
        with tls_server(files, mutual=True) as port:
            assert await asked(client, port) == 200
        with tls_server(other, mutual=True) as port:
            with pytest.raises(httpx.ConnectError) as refused:
                await asked(client, port)
            assert describe(refused.value).startswith("its certificate is not accepted: ")
            for name in ("ca", "client", "client_key"):
                getattr(files, name).write_bytes(getattr(other, name).read_bytes())
            clock.now += 1
            assert await asked(client, port) == 200
            files.ca.write_text("")
            clock.now += 1
            with pytest.raises(OperatorError) as wrong:
                await asked(client, port)
            assert describe(wrong.value).startswith("cannot be asked: HOMEOSTAT_TLS_CA: ")


async def five_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request of a connection."""
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def test_cancelled_requests_take_no_connection_from_those_that_follow() -> None:
    """A busy machine cancels polls at any of their steps, and the console must be able to ask afterwards."""

    async def cancel_at_every_step() -> tuple[int, list[str]]:
        server = await asyncio.start_server(five_bytes, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        made = RenewedTransport(client_tls({}), httpx.Limits(max_connections=4))
        async with server, httpx.AsyncClient(transport=made, timeout=bound(2)) as client:
            for steps in range(60):
                # More than there are connections: some are waited for.
                asking = [asyncio.create_task(client.get(url)) for _ in range(6)]
                for _ in range(steps):
                    await asyncio.sleep(0)
                for task in asking:
                    task.cancel()
                await asyncio.gather(*asking, return_exceptions=True)
            answers = await asyncio.gather(*(client.get(url) for _ in range(8)))
            await asyncio.sleep(0)
            left = [repr(task) for task in asyncio.all_tasks() if "aclose" in repr(task)]
        return sum(answer.status_code == 200 for answer in answers), left

    assert asyncio.run(cancel_at_every_step()) == (8, [])
