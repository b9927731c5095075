"""Health, status and metrics answer while requests that block have taken all threads of the other routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Event

import httpx
import pytest
from anyio import to_thread

from tests.fuzz.runner import Target
from tests.fuzz.services import drift, retraining
from tests.waiting import time_factor

PATHS = ("/health/live", "/health/ready", "/status", "/metrics")


@pytest.mark.parametrize("make", [drift, retraining])
def test_observing_routes_answer_while_all_threads_block(
    make: Callable[[Path], Target], tmp_path: Path
) -> None:
    app = make(tmp_path).app

    async def ask() -> dict[str, int]:
        end = Event()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1"
        ) as client:
            threads = int(to_thread.current_default_thread_limiter().total_tokens)
            blocked = [asyncio.create_task(to_thread.run_sync(end.wait)) for _ in range(threads + 1)]
            await asyncio.sleep(0.1)
            try:
                async with asyncio.timeout(10 * time_factor()):
                    return {path: (await client.get(path)).status_code for path in PATHS}
            finally:
                end.set()
                await asyncio.gather(*blocked)

    assert asyncio.run(ask()) == dict.fromkeys(PATHS, 200)
