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
