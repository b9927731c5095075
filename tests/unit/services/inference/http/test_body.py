from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import MutableMapping
from typing import Any

import pytest

from services.inference.http.body import BodyReader, BodyTooSlow, ClientGone
from shared.access.caller import Unauthenticated
from shared.errors import InvalidRequest, OperatorError
from tests.waiting import bound


class Sender:
    """Sends `parts`, then hangs up (`gone`) or never says another word."""

    def __init__(self, *parts: bytes, complete: bool = True, gone: bool = False) -> None:
        self.parts = list(parts)
        self.complete = complete
        self.gone = gone

    async def __call__(self) -> MutableMapping[str, Any]:
        if self.parts:
            part = self.parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self.parts) or not self.complete}
        if self.gone:
            return {"type": "http.disconnect"}
        await asyncio.sleep(60)
        raise AssertionError("nobody cut the sender off")


def reader(**limits: Any) -> BodyReader:
    return BodyReader(
        **{"maximum_bytes": 1000, "maximum_buffered_bytes": 5000, "receive_seconds": 0.1, **limits}
    )


def read(sender: Sender, *headers: tuple[bytes, bytes], by: BodyReader | None = None) -> bytes:
    return asyncio.run((by or reader()).read(headers, sender))


def test_body_in_chunks() -> None:
    assert read(Sender(b"abc")) == b"abc"
    assert read(Sender(b"a", b"b", b"c")) == b"abc"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_body(encoding: str) -> None:
    packed = gzip.compress(b"abc") if encoding == "gzip" else zlib.compress(b"abc")
    assert read(Sender(packed), (b"content-encoding", encoding.encode())) == b"abc"


@pytest.mark.parametrize(
    ("sender", "headers", "status"),
    [
        (Sender(b"x" * 1001), [], 413),
        (Sender(*[b"x" * 100] * 11), [], 413),
        (Sender(b"x"), [(b"content-length", b"1001")], 413),
        (Sender(b"x"), [(b"content-length", b"9" * 5000)], 413),
        (Sender(gzip.compress(b" " * 2000)), [(b"content-encoding", b"gzip")], 413),
        (Sender(b"no gzip"), [(b"content-encoding", b"gzip")], 400),
        (Sender(gzip.compress(b"abc")[:-9]), [(b"content-encoding", b"gzip")], 400),
        (Sender(b"x"), [(b"content-encoding", b"br")], 415),
    ],
)
def test_too_large_or_corrupt_body_is_refused(
    sender: Sender, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(sender, *headers)
    assert caught.value.status == status


def test_body_is_cut_when_its_key_is_revoked() -> None:
    """It takes room until it is complete: also if its sender is silent from now on."""
    asked = 0

    def still_permitted() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise Unauthenticated("the API key was revoked")

    slow = reader(receive_seconds=3)
    with pytest.raises(Unauthenticated):
        asyncio.run(asyncio.wait_for(slow.read([], Sender(b"x", complete=False), still_permitted), bound(2)))
    assert vars(slow)["_buffered"] == 0


def test_complete_body_of_a_revoked_key_is_refused() -> None:
    def refuse() -> None:
        raise Unauthenticated("the API key was revoked")

    with pytest.raises(Unauthenticated):
        asyncio.run(reader().read([], Sender(b"x", b"y"), refuse))
    # One that came in a piece was checked a moment ago.
    assert asyncio.run(reader().read([], Sender(b"x"), refuse)) == b"x"


def test_reading_stops_at_the_limit() -> None:
    sender = Sender(*[b"x" * 300] * 100)
    with pytest.raises(InvalidRequest):
        read(sender)
    assert len(sender.parts) == 96


@pytest.mark.parametrize("sender", [Sender(), Sender(b"a", complete=False)])
def test_slow_sender_times_out(sender: Sender) -> None:
    with pytest.raises(BodyTooSlow) as caught:
        read(sender)
    assert caught.value.status == 408


@pytest.mark.parametrize("sender", [Sender(gone=True), Sender(b"a", complete=False, gone=True)])
def test_disconnected_client_gets_no_response(sender: Sender) -> None:
    with pytest.raises(ClientGone):
        read(sender)


def test_unfinished_bodies_share_a_limit() -> None:
    shared = reader(maximum_buffered_bytes=1500, receive_seconds=0.2)

    async def two_at_once() -> list[object]:
        senders = [Sender(b"x" * 900, b"y", complete=False) for _ in range(2)]
        return await asyncio.gather(*(shared.read((), sender) for sender in senders), return_exceptions=True)

    kinds = {type(result) for result in asyncio.run(two_at_once())}
    assert kinds == {OperatorError, BodyTooSlow}
    assert read(Sender(b"x" * 500, b"y" * 499), by=shared) == b"x" * 500 + b"y" * 499
