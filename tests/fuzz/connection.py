"""A connection that a fuzz sends raw requests over, and reads the answers from."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.fuzz.wire import WireRequest

_BODILESS = (204, 304)


@dataclass(frozen=True)
class Answer:
    """A response; `status` 0: the connection ended without one."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes = b""

    @property
    def is_declared(self) -> bool:
        """Whether it is no server error, or one that says when to try again."""
        return self.status < 500 or (self.status == 503 and self.headers.get(b"retry-after", b"").isdigit())


NONE = Answer(0, {})


class Hang(Exception):
    """No answer within the bound."""


class Connection:
    """Sends to one port; a connection is used again as long as the server allows it."""

    def __init__(self, port: int, bound_s: float) -> None:
        self._port = port
        self._bound_s = bound_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, asked: WireRequest) -> list[Answer]:
        """The answers to a request: one to an orderly one, any number to others. Raises Hang."""
        try:
            async with asyncio.timeout(self._bound_s):
                if asked.orderly:
                    return [await self._ask_once(asked)]
                return await self._ask_freely(asked)
        except TimeoutError:
            self.close()
            raise Hang from None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _ask_once(self, asked: WireRequest) -> Answer:
        for is_new in (self._streams is None, True):
            if is_new:
                self.close()
            reader, writer = self._streams or await self._open()
            try:
                await _send(writer, asked.segments)
                answer = await read_answer(reader, head_only=asked.method == "HEAD")
            except ConnectionError:
                answer = NONE
            # A server may close an idle connection while the next request is on its way.
            if answer.status or is_new:
                break
        if not answer.status or answer.headers.get(b"connection", b"").lower() == b"close":
            self.close()
        return answer

    async def _ask_freely(self, asked: WireRequest) -> list[Answer]:
        self.close()
        reader, writer = await self._open()
        found: list[Answer] = []
        try:
            await _send(writer, asked.segments)
            writer.write_eof()
            while (answer := await read_answer(reader, head_only=asked.method == "HEAD")).status:
                found.append(answer)
        except OSError:  # it was closed before everything was sent
            pass
        finally:
            self.close()
        return found

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        return self._streams


async def _send(writer: asyncio.StreamWriter, segments: tuple[bytes, ...]) -> None:
    for number, segment in enumerate(segments):
        if number:
            await asyncio.sleep(0.001)
        writer.write(segment)
        await writer.drain()


async def read_answer(reader: asyncio.StreamReader, *, head_only: bool = False) -> Answer:
    """The next response, interim ones left out; NONE at the end of the connection."""
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return NONE
        first, *lines = head[:-4].split(b"\r\n")
        status = int(first.split(b" ", 2)[1])
        if status >= 200 or status == 101:
            break
    fields = (line.partition(b":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in fields}
    if head_only or status in _BODILESS or status == 101:
        return Answer(status, headers)
    try:
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            return Answer(status, headers, await _read_chunks(reader))
        if b"content-length" in headers:
            return Answer(status, headers, await reader.readexactly(int(headers[b"content-length"])))
        return Answer(status, headers | {b"connection": b"close"}, await reader.read())
    except asyncio.IncompleteReadError:
        return NONE


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        found += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return bytes(found)
