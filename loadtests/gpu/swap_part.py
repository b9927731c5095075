"""Many swaps of a small model in a running server, and the memory at each: it must not grow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loadtests.gpu.server import Server, wait_for
from shared.contracts.release import Release
from shared.models.signed_versions.installation_keys import Keys
from shared.stores.model_store import open_model_store

_SWAP_SECONDS = 120.0


@dataclass(frozen=True)
class Swaps:
    """Memory in bytes after the first tenth of the swaps and at their end, as the least of the last readings."""

    swaps: int
    settled: int
    at_end: int

    @property
    def growth(self) -> int:
        """Bytes more at the end."""
        return self.at_end - self.settled


def swap(server: Server, home: Path, model: str, version: str, swaps: int) -> Swaps:
    """Release the version again and again; each release is a new generation, loaded beside the live one."""
    store = open_model_store((home / "models").as_uri(), Keys(home / "keys"))
    readings = []
    for _ in range(swaps):
        newest = store.live_release(model)
        assert newest is not None
        generation = store.latest_generation(model) + 1
        before = server.metric("homeostat_inference_swaps_total") or 0
        store.add_release(
            Release(
                model=model,
                generation=generation,
                version=version,
                previous=newest.version,
                reason="promotion",
                actor="gpu",
                released_at=datetime.now(UTC),
            )
        )
        wait_for(
            server,
            lambda before=before: (server.metric("homeostat_inference_swaps_total") or 0) > before,
            _SWAP_SECONDS,
        )
        readings.append(server.memory_bytes())
    failed = server.metric("homeostat_inference_release_failed")
    if failed:
        raise SystemExit(f"a swap failed; the end of the server's log:\n{server.log.read_text()[-3000:]}")
    settled = max(1, swaps // 10)
    # A reading may fall into a swap, when two versions are loaded.
    return Swaps(swaps, min(readings[settled - 1 : settled + 4]), min(readings[-5:]))
