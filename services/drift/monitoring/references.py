"""References by version: fetched from the model store, verified byte by byte, and kept ready."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Protocol

import pyarrow.parquet as pq

from services.drift.evaluation.columns import rows_from_table
from services.drift.evaluation.reference_profile import Reference, build_reference
from shared.contracts.lake_schema import SCORES
from shared.contracts.manifest import REFERENCE, short
from shared.contracts.release import Release
from shared.errors import IntegrityError
from shared.models.signed_versions.verification import verify_version
from shared.stores.model_store import ModelStore

KEPT_IN_MEMORY = 8


class References(Protocol):
    """Where references come from."""

    def models(self) -> list[str]:
        """Models with a release."""
        ...

    def latest_release(self, model: str) -> Release | None:
        """What is served now."""
        ...

    def release(self, model: str, generation: int) -> Release:
        """An entry of the release log. Raises NotFound, IntegrityError, DependencyUnavailable."""
        ...

    def get(self, model: str, version: str) -> Reference:
        """The reference of a version. Raises NotFound, IntegrityError, DependencyUnavailable."""
        ...


class StoredReferences:
    """References from the model store, with verified copies below `folder`. `on_fetch` receives model and version of each that
    was fetched; it must not block."""

    def __init__(
        self,
        store: ModelStore,
        folder: Path,
        verifying_key: Path,
        on_fetch: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._on_fetch = on_fetch
        self._store = store
        self._folder = folder
        self._verifying_key = verifying_key
        self._ready: OrderedDict[tuple[str, str], Reference] = OrderedDict()
        self._lock = Lock()

    def models(self) -> list[str]:
        """Models with a release."""
        return self._store.models()

    def latest_release(self, model: str) -> Release | None:
        """What is served now."""
        return self._store.latest_release(model)

    def release(self, model: str, generation: int) -> Release:
        """An entry of the release log."""
        return self._store.release(model, generation)

    def get(self, model: str, version: str) -> Reference:
        """The reference of a version.

        1. fetch the folder   2. verify digests and signature   3. only then read `reference.parquet`
        A folder that fails is removed, so that the next poll fetches it anew.
        """
        with self._lock:
            ready = self._ready.get((model, version))
            if ready is None:
                ready = self._fetch(model, version)
                self._ready[(model, version)] = ready
                while len(self._ready) > KEPT_IN_MEMORY:
                    self._ready.popitem(last=False)
                self._on_fetch(model, version)
            self._ready.move_to_end((model, version))
            return ready

    def _fetch(self, model: str, version: str) -> Reference:
        folder = self._folder / model / version
        try:
            shutil.rmtree(folder, ignore_errors=True)
            self._store.get_version(model, version, folder)
            manifest = verify_version(folder, version=version, verifying_key=self._verifying_key)
            try:
                file = pq.ParquetFile(folder / REFERENCE)
                # Embeddings are not measured, and a reference of them may have a hundred megabytes.
                unused = {SCORES} if manifest.prediction.kind == "embedding" else set()
                table = file.read(columns=[name for name in file.schema_arrow.names if name not in unused])
                rows = rows_from_table(table, manifest.loop)
                trained_until = _timestamp(manifest.origin.trained_until)
                return build_reference(version, manifest.loop, rows, trained_until)
            except (OSError, ValueError, KeyError) as error:
                raise IntegrityError(
                    f"{REFERENCE} of version {short(version)} cannot be read: {error}",
                    hint="release a version whose reference has event_time, score, outcome and every feature",
                ) from error
        finally:
            # What was needed is in memory; keeping the model file as well would only fill the disk.
            shutil.rmtree(folder, ignore_errors=True)


def _timestamp(text: str) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
