"""Loads a release: fetch, verify, try in a process of its own and compare with float32, load, warm up, in this order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from services.inference.models.accuracy import check_accuracy, inaccurate
from services.inference.models.candidate import Candidate, batch_of, fetch
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Array, Engine, Servable
from services.inference.runtimes.engines import EXACT, EngineOptions
from shared.contracts.lake_schema import SCORES
from shared.contracts.manifest import REFERENCE, Manifest
from shared.contracts.release import Release
from shared.errors import UnservableModel
from shared.models.answers import read_outcomes, read_scores
from shared.models.probe import probe, spread
from shared.personal_data.pseudonyms import Pseudonyms
from shared.stores.model_store import ModelStore

_MEASURED_ROWS = 64
# For the answers in float32 of a declared precision: they are computed on the CPU.
_COMPARED_SECONDS = 5.0
_MAX_PASSED = 4096  # versions that are remembered


# Loads a model, by its file's name and bytes, where it can do no harm; refuses to go on when the function says that the version
# is not wanted any more.
Trial = Callable[[str, bytes, EngineOptions, Callable[[], bool]], AbstractContextManager[Engine]]


class Loader:
    """Loads versions beside the live ones."""

    def __init__(
        self,
        store: ModelStore,
        *,
        verifying_key: Path,
        trial: Trial,
        engine: Callable[[str, bytes, EngineOptions], Engine],
        options: Callable[[Manifest], EngineOptions],
        probe_rows: int,
        probe_tolerance: float,
        precision_tolerance: float,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        """`engine`: runs the model in a file's name and bytes, with the `options` of its version.

        `precision_tolerance`: how far answers in another form than float32 may be from it; absolute for numbers up to 1, else
        relative. `pseudonyms`: for versions with features that need them.
        """
        self._store = store
        self._pseudonyms = pseudonyms
        self._verifying_key = verifying_key
        self._trial = trial
        self._engine = engine
        self._probe_rows = probe_rows
        self._options = options
        self._tolerance = probe_tolerance
        self._precision_tolerance = precision_tolerance
        # Versions that have passed, and their differences from float32.
        self._passed: dict[str, float | None] = {}
        # The newest generation of each model that could not be loaded: an earlier release is wanted beside it.
        self._failed: dict[str, int] = {}

    def load(self, release: Release) -> Servable:
        """A verified and probed servable. Raises IntegrityError, UnservableModel, NotFound, DependencyUnavailable.

        1. `fetch`: fetch, verify digests and signature, read the bytes and compare them with the verified digests
        2. `try_out`, in a process of its own: check the operators and weights in the file, load it, check inputs and output, in
           another form than float32 compare it with float32 on the CPU, probe it on reference rows, and compare its scores of
           them with those of its packaging; a version that has passed once is not tried again when it is loaded again
        3. `open`: load it in this process, warm it up, measure it, and compare its scores once more
        """
        try:
            candidate = self.fetch(release)
            self.try_out(candidate, partial(self.is_newest, release))
            return self.open(candidate)
        except Exception:
            self._failed[release.model] = max(release.generation, self._failed.get(release.model, 0))
            raise

    def fetch(self, release: Release) -> Candidate:
        """The verified bytes of a release."""
        return fetch(self._store, release, verifying_key=self._verifying_key, probe_rows=self._probe_rows)

    def try_out(self, candidate: Candidate, is_wanted: Callable[[], bool]) -> None:
        """Run it where it can do no harm. Raises UnservableModel, also when it `is_wanted` no more."""
        release, manifest = candidate.release, candidate.manifest
        if release.version in self._passed:
            return
        options, tolerance = self._options_of(manifest)
        file = manifest.model_file
        exact: Array | None = None
        compared = candidate.reference
        if not options.form.is_exact:
            with self._trial(file, candidate.model, EXACT, is_wanted) as engine:
                servable = self._servable(release, manifest, engine)
                exact, compared = _exact_answers(servable, candidate.reference)
        with self._trial(file, candidate.model, options, is_wanted) as engine:
            tried = self._servable(release, manifest, engine)
            if exact is not None:
                tried.difference = self._difference(tried, compared, exact)
            probe(
                lambda table: tried.run(batch_of(manifest, table)),
                manifest.features,
                manifest.prediction,
                candidate.reference,  # all of them: the sample is then that of the deployment
                tolerance=tolerance,
            )
            self._compare(tried, candidate.rows, tolerance)
        if len(self._passed) >= _MAX_PASSED:
            self._passed.clear()
        self._passed[release.version] = tried.difference

    def open(self, candidate: Candidate) -> Servable:
        """Load it in this process. Raises UnservableModel."""
        manifest = candidate.manifest
        options, tolerance = self._options_of(manifest)
        opened = self._engine(manifest.model_file, candidate.model, options)
        servable = self._servable(candidate.release, manifest, opened)
        servable.difference = self._passed.get(candidate.release.version)
        self._warm(servable, candidate.rows)
        self._compare(servable, candidate.rows, tolerance)
        return servable

    def _servable(self, release: Release, manifest: Manifest, engine: Engine) -> Servable:
        return Servable(release, manifest, engine, loaded_at=datetime.now(UTC), pseudonyms=self._pseudonyms)

    def _options_of(self, manifest: Manifest) -> tuple[EngineOptions, float]:
        """How the version runs, and how far its scores may be from those of its packaging."""
        options = self._options(manifest)
        if options.form.is_exact:
            return options, self._tolerance
        return options, max(self._tolerance, self._precision_tolerance)

    def _difference(self, servable: Servable, reference: pa.Table, exact: Array) -> float:
        """The largest difference from the exact answers. Raises UnservableModel if it is beyond the tolerance."""
        try:
            answered = np.concatenate(
                [servable.run(batch) for batch in _batches(servable.manifest, reference)]
            )
        except UnservableModel as error:
            raise inaccurate(
                f"in {servable.form} the model fails on reference rows: {error.message}"
            ) from error
        return check_accuracy(answered, exact, form=str(servable.form), tolerance=self._precision_tolerance)

    def is_newest(self, release: Release) -> bool:
        """Whether the release log has no newer one that may be loaded, as far as it can be read."""
        try:
            newest = self._store.live_release(release.model)
        except Exception:  # the store is away: go on with what is known
            return True
        known = max(release.generation, self._failed.get(release.model, 0))
        return newest is None or newest.generation <= known

    def _warm(self, servable: Servable, reference: pa.Table) -> None:
        """Call it with every size of batch that the device prepares itself for, then measure it."""
        for size in servable.batch_sizes:
            servable.run(batch_of(servable.manifest, reference.take(np.arange(size) % reference.num_rows)))
        one, many = reference.slice(0, 1), reference.slice(0, _MEASURED_ROWS)
        servable.measure(batch_of(servable.manifest, one), batch_of(servable.manifest, many))

    def _compare(self, servable: Servable, reference: pa.Table, tolerance: float) -> None:
        if any(feature.is_unlogged for feature in servable.schema.features):
            return  # the reference lacks values that its scores came from
        answered = servable.run(batch_of(servable.manifest, reference))
        if servable.is_vector:
            self._compare_vectors(servable, reference, answered, tolerance)
            return
        if servable.labels:
            answered = self._of_recorded_labels(servable, reference, answered)
        elif not servable.scores:
            return
        if "score" not in reference.column_names:
            raise UnservableModel(
                f"{REFERENCE} of version {servable.version_short} has no column `score`",
                hint="package the version again",
            )
        wanted = reference.column("score").to_numpy()
        near = np.isclose(answered, wanted, rtol=tolerance, atol=tolerance)
        if not near.all():
            row = int(np.argmin(near))
            raise UnservableModel(
                f"version {servable.version_short} scores reference row {row} as {answered[row]:.6g}; "
                f"when it was packaged the score was {wanted[row]:.6g}",
                hint="package it again with this server's onnxruntime or torch, or raise HOMEOSTAT_INFERENCE_PROBE_TOLERANCE",
            )

    def _compare_vectors(
        self, servable: Servable, reference: pa.Table, answered: Array, tolerance: float
    ) -> None:
        """Values and embeddings: every number of a row."""
        if SCORES not in reference.column_names:
            raise UnservableModel(
                f"{REFERENCE} of version {servable.version_short} has no column `{SCORES}`",
                hint="package the version again",
            )
        wanted = read_scores(servable.manifest.prediction, reference)
        near = np.isclose(answered, wanted, rtol=tolerance, atol=tolerance).all(axis=1)
        if not near.all():
            row = int(np.argmin(near))
            place = int(np.argmax(np.abs(answered[row] - wanted[row])))
            raise UnservableModel(
                f"version {servable.version_short} answers reference row {row} with {answered[row, place]:.6g} at index {place}; "
                f"when it was packaged the number was {wanted[row, place]:.6g}",
                hint="package it again with this server's onnxruntime or torch, or raise HOMEOSTAT_INFERENCE_PROBE_TOLERANCE",
            )

    def _of_recorded_labels(self, servable: Servable, reference: pa.Table, answered: Array) -> Array:
        """The probability of each row's recorded label: of two equal ones either may be the greatest."""
        if "label" not in reference.column_names:
            raise UnservableModel(
                f"{REFERENCE} of version {servable.version_short} has no column `label`",
                hint="package the version again",
            )
        classes = read_outcomes(servable.manifest.prediction, reference["label"])
        if not (classes >= 0).all():
            raise UnservableModel(
                f"{REFERENCE} of version {servable.version_short} has a label that is not in prediction.labels",
                hint="package the version again",
            )
        return answered[np.arange(len(classes)), classes.astype(np.intp)]


def _exact_answers(servable: Servable, reference: pa.Table) -> tuple[Array, pa.Table]:
    """The answers in float32 and their rows: all reference rows, or as many, spread over them, as take `_COMPARED_SECONDS`."""
    start = time.perf_counter()
    first = reference.slice(0, _MEASURED_ROWS)
    servable.run(batch_of(servable.manifest, first))
    row_seconds = (time.perf_counter() - start) / first.num_rows
    rows = max(_MEASURED_ROWS, int(_COMPARED_SECONDS / row_seconds))
    compared = reference.take(spread(reference.num_rows, rows))
    return np.concatenate([servable.run(batch) for batch in _batches(servable.manifest, compared)]), compared


def _batches(manifest: Manifest, rows: pa.Table) -> Iterator[Batch]:
    for start in range(0, rows.num_rows, _MEASURED_ROWS):
        yield batch_of(manifest, rows.slice(start, _MEASURED_ROWS))
