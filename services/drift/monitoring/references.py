"""References by version: fetched from the model store, verified byte by byte, and kept ready."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Protocol
from weakref import WeakValueDictionary

import pyarrow.parquet as pq

from services.drift.evaluation.columns import rows_from_table
from services.drift.evaluation.reference_profile import Reference, build_reference
from services.drift.evaluation.summaries.texts import with_vocabularies
from shared.contracts.lake_schema import SCORES
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import REFERENCE, short
from shared.contracts.release import Release
from shared.contracts.slices.slice_spec import slices_of
from shared.errors import IntegrityError, NotFound
from shared.models.signed_versions.verification import verify_version
from shared.stores.model_store import ModelStore

# References that nobody else holds. One that a detector of the stream uses stays in memory with it, and is not fetched again.
KEPT_IN_MEMORY = 8


class References(Protocol):
    """Where references come from."""

    def models(self) -> list[str]:
        """Models with a release."""
        ...

    def live_release(self, model: str) -> Release | None:
        """The release whose version answers requests."""
        ...

    def release(self, model: str, generation: int) -> Release:
        """An entry of the release log. Raises NotFound, IntegrityError, DependencyUnavailable."""
        ...

    def get(self, model: str, version: str) -> Reference:
        """The reference of a version. Raises NotFound, IntegrityError, DependencyUnavailable."""
        ...


class StoredReferences:
    """References from the model store, with verified copies below `folder`. `on_fetch` receives model and version of each that
    was fetched; it must not block. `configure` may exchange the loop.yaml of a version, to ask what another would have found."""

    def __init__(
        self,
        store: ModelStore,
        folder: Path,
        verifying_key: Path,
        on_fetch: Callable[[str, str], None] = lambda *_: None,
        configure: Callable[[LoopSpec], LoopSpec] = lambda loop: loop,
    ) -> None:
        self._configure = configure
        self._on_fetch = on_fetch
        self._store = store
        self._folder = folder
        self._verifying_key = verifying_key
        self._ready: OrderedDict[tuple[str, str], Reference] = OrderedDict()
        self._held: WeakValueDictionary[tuple[str, str], Reference] = WeakValueDictionary()
        self._lock = Lock()

    def models(self) -> list[str]:
        """Models with a release."""
        return self._store.models()

    def live_release(self, model: str) -> Release | None:
        """The release whose version answers requests."""
        return self._store.live_release(model)

    def release(self, model: str, generation: int) -> Release:
        """An entry of the release log."""
        return self._store.release(model, generation)

    def get(self, model: str, version: str) -> Reference:
        """The reference of a version.

        1. fetch the folder   2. verify digests and signature   3. only then read `reference.parquet`
        A folder that fails is removed, so that the next poll fetches it anew.
        """
        with self._lock:
            key = (model, version)
            ready = self._held.get(key)
            if ready is None:
                ready = self._held[key] = self._fetch(model, version)
                self._on_fetch(model, version)
            self._ready[key] = ready
            self._ready.move_to_end(key)
            while len(self._ready) > KEPT_IN_MEMORY:
                self._ready.popitem(last=False)
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
                loop = self._configure(manifest.loop)
                slices = slices_of(loop.slices, loop.features, table)
                own, loop = with_vocabularies(loop, table)
                rows = rows_from_table(table, own, slices=slices)
                trained_until = _timestamp(manifest.origin.trained_until)
                return build_reference(version, loop, rows, trained_until, slices)
            except (OSError, ValueError, KeyError) as error:
                raise IntegrityError(
                    f"{REFERENCE} of version {short(version)} cannot be read: {error}",
                    hint="release a version whose reference has event_time, score, outcome and every feature",
                ) from error
        finally:
            # What was needed is in memory; keeping the model file as well would only fill the disk.
            shutil.rmtree(folder, ignore_errors=True)


def live_generation(references: References, model: str, generation: int) -> int:
    """The live generation at the time of a release: its own, unless it is of a canary, whose rows are no windows.

    A generation that the log does not have counts as live. Raises IntegrityError, DependencyUnavailable.
    """
    try:
        release = references.release(model, generation)
        while release.slot != "live":
            release = references.release(model, release.generation - 1)
    except NotFound:
        return generation
    return release.generation


def _timestamp(text: str) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
