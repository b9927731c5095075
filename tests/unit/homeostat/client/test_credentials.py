from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from homeostat import AsyncClient, Client, HomeostatError
from tests.fakes.scripted_inference import ScriptedInference

KEY = "hs_0123456789ab_" + "a" * 43
OTHER = KEY.replace("0", "1")
ROW = {"amount": 1.5, "count": 2, "member": True, "colour": "red"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOMEOSTAT_API_KEY", "HOMEOSTAT_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


def sent(server: ScriptedInference, **options: Any) -> set[str | None]:
    """The Authorization headers of every kind of request."""
    server.credentials.clear()
    with Client("http://server", transport=httpx.MockTransport(server.answer), **options) as client:
        client.outcome(client.predict(ROW)[0].prediction_id, 1)
    assert len(server.credentials) == 4
    return set(server.credentials)


def test_key_is_sent_with_every_request(server: ScriptedInference) -> None:
    assert sent(server) == {None}
    assert sent(server, api_key=KEY) == {f"Bearer {KEY}"}


def test_key_of_the_environment(
    server: ScriptedInference, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(f"{OTHER}\n")
    monkeypatch.setenv("HOMEOSTAT_API_KEY_FILE", str(tmp_path / "key"))
    assert sent(server) == {f"Bearer {OTHER}"}
    monkeypatch.setenv("HOMEOSTAT_API_KEY", KEY)
    assert sent(server) == {f"Bearer {KEY}"}
    assert sent(server, api_key=OTHER) == {f"Bearer {OTHER}"}
    assert sent(server, api_key="") == {None}


def test_key_of_a_file_may_be_replaced_while_the_client_runs(
    server: ScriptedInference, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As `homeostat keys rotate` does it. The prediction is logged once: what 401 refused has done nothing."""
    file = tmp_path / "key"
    file.write_text(KEY)
    monkeypatch.setenv("HOMEOSTAT_API_KEY_FILE", str(file))
    valid = KEY

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] != f"Bearer {valid}":
            return httpx.Response(401, json={"error": "the API key is revoked"})
        return server.answer(request)

    with Client("http://server", transport=httpx.MockTransport(answer)) as client:
        client.predict(ROW)
        valid = OTHER
        with pytest.raises(HomeostatError, match="the API key is revoked"):
            client.predict(ROW)
        file.write_text(OTHER)
        assert [one.score for one in client.predict(ROW)] == [0.5]
    assert server.logged == [ROW, ROW]
    assert server.credentials[-1] == f"Bearer {OTHER}"


def test_given_header_is_kept(server: ScriptedInference, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a key is given as well: two of them would be refused."""
    monkeypatch.setenv("HOMEOSTAT_API_KEY", KEY)
    headers = {"authorization": "Bearer a.signed.token", "X-Team": "pricing"}
    assert sent(server, headers=headers) == {"Bearer a.signed.token"}
    assert sent(server, headers=headers, api_key=OTHER) == {f"Bearer {OTHER}"}


@pytest.mark.parametrize("key", [f"{KEY}\n", f"Bearer {KEY}", "schlüssel", "a\r\nX-Other: 1"])
def test_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(HomeostatError, match="the API key has spaces") as refused:
        Client("http://server", api_key=key)
    assert key.strip() not in str(refused.value)


def test_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOMEOSTAT_API_KEY_FILE", str(tmp_path / "missing"))
    with pytest.raises(HomeostatError, match="missing cannot be read"):
        Client("http://server")


def test_asyncio_client_sends_it(server: ScriptedInference) -> None:
    async def ask() -> None:
        transport = httpx.MockTransport(server.answer)
        async with AsyncClient("http://server", api_key=KEY, transport=transport) as client:
            await client.predict(ROW)

    asyncio.run(ask())
    assert set(server.credentials) == {f"Bearer {KEY}"}
