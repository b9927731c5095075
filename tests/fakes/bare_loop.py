"""A bare asyncio loop that is as busy as a saturated server: it works for 5 ms, then looks at its connections.

    python -m tests.fakes.bare_loop

Prints its port; answers each byte with the same byte. How late its answers are is what the machine allows at the moment.
"""

from __future__ import annotations

import asyncio
import sys
import time

from services.inference.prediction.model_queue import SLICE_SECONDS


class Echo(asyncio.Protocol):
    """Sends back what it received."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Bytes of a client."""
        self._transport.write(data)


def work() -> None:
    """Compute for a slice, and go on in the next iteration of the loop."""
    end = time.perf_counter() + SLICE_SECONDS
    while time.perf_counter() < end:
        pass
    asyncio.get_running_loop().call_soon(work)


async def main() -> None:
    """Serve until standard input ends."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    work()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
