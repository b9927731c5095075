"""Loads a release: fetch, verify, try in a process of its own and compare with float32, load, warm up, in this order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.inference.models.accuracy import check_accuracy, inaccurate
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Array, Engine, Servable
from services.inference.runtimes.engines import EXACT, EngineOptions
from shared.contracts.lake_schema import SCORE, SCORES
from shared.contracts.manifest import REFERENCE, Manifest, short
from shared.contracts.release import Release
from shared.errors import IntegrityError, ProjectError, UnservableModel
from shared.models.answers import lake_columns, read_outcomes, read_scores
from shared.models.feature_arrays import to_arrays
from shared.models.probe import probe, spread
from shared.models.signed_versions.verification import verify_version
from shared.stores.model_store import ModelStore

_MEASURED_ROWS = 64
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
    ) -> None:
        """`engine`: runs the model in a file's name and bytes, with the `options` of its version.

        `precision_tolerance`: how far answers in another form than float32 may be from it; absolute for numbers up to 1, else
        relative.
        """
        self._store = store
        self._verifying_key = verifying_key
        self._trial = trial
        self._engine = engine
        self._probe_rows = probe_rows
        self._options = options
        self._tolerance = probe_tolerance
        self._precision_tolerance = precision_tolerance
        # Versions that have passed, and their differences from float32.
        self._passed: dict[str, float | None] = {}

    def load(self, release: Release) -> Servable:
        """A verified and probed servable. Raises IntegrityError, UnservableModel, NotFound, DependencyUnavailable.

        1. fetch into a private folder    2. verify digests and signature
        3. read the bytes, and compare them with the verified digests
        4. on trial, in a process of its own: check the operators and weights in the file, load it, check inputs and output,
           in another form than float32 compare it with float32 on the CPU, probe it on reference rows, and compare its scores
           of them with those of its packaging; a version that has passed once is not tried again when it is loaded again
        5. load it in this process    6. warm it up and measure it    7. compare its scores once more
        """
        with tempfile.TemporaryDirectory(prefix="homeostat-version-") as name:
            folder = Path(name)
            self._store.get_version(release.model, release.version, folder)
            manifest = verify_version(folder, version=release.version, verifying_key=self._verifying_key)
            if manifest.model != release.model:
                raise IntegrityError(
                    f"version {short(release.version)} belongs to model {manifest.model}, not {release.model}"
                )
            model = _verified_bytes(folder, manifest, manifest.model_file)
            reference = _verified_bytes(folder, manifest, REFERENCE)
        reference_rows = read_reference(manifest, reference)
        rows = reference_rows.take(spread(reference_rows.num_rows, self._probe_rows))
        options, tolerance = self._options(manifest), self._tolerance
        if not options.form.is_exact:
            tolerance = max(tolerance, self._precision_tolerance)
        if release.version not in self._passed:
            self._try(release, manifest, model, reference_rows, rows, options, tolerance)
        opened = self._engine(manifest.model_file, model, options)
        servable = Servable(release, manifest, opened, loaded_at=datetime.now(UTC))
        servable.difference = self._passed.get(release.version)
        self._warm(servable, rows)
        self._compare(servable, rows, tolerance)
        return servable

    def _try(
        self,
        release: Release,
        manifest: Manifest,
        model: bytes,
        reference_rows: pa.Table,
        rows: pa.Table,
        options: EngineOptions,
        tolerance: float,
    ) -> None:
        file, is_wanted = manifest.model_file, partial(self._is_newest, release)
        exact: Array | None = None
        if not options.form.is_exact:
            with self._trial(file, model, EXACT, is_wanted) as engine:
                exact = Servable(release, manifest, engine, loaded_at=datetime.now(UTC)).run(
                    _compared(manifest, rows)
                )
        with self._trial(file, model, options, is_wanted) as engine:
            tried = Servable(release, manifest, engine, loaded_at=datetime.now(UTC))
            if exact is not None:
                tried.difference = self._difference(tried, rows, exact)
            probe(
                lambda table: tried.run(batch_of(manifest, table)),
                manifest.features,
                manifest.prediction,
                reference_rows,  # all of them: the sample is then that of the deployment
                tolerance=tolerance,
            )
            self._compare(tried, rows, tolerance)
        if len(self._passed) >= _MAX_PASSED:
            self._passed.clear()
        self._passed[release.version] = tried.difference

    def _difference(self, servable: Servable, reference: pa.Table, exact: Array) -> float:
        """The largest difference from the exact answers. Raises UnservableModel if it is beyond the tolerance."""
        try:
            answered = servable.run(_compared(servable.manifest, reference))
        except UnservableModel as error:
            raise inaccurate(
                f"in {servable.form} the model fails on reference rows: {error.message}"
            ) from error
        return check_accuracy(answered, exact, form=str(servable.form), tolerance=self._precision_tolerance)

    def _is_newest(self, release: Release) -> bool:
        try:
            newest = self._store.latest_release(release.model)
        except Exception:  # the store is away: go on with what is known
            return True
        return newest is None or newest.generation <= release.generation

    def _warm(self, servable: Servable, reference: pa.Table) -> None:
        """Call it with every size of batch that the device prepares itself for, then measure it."""
        for size in servable.batch_sizes:
            servable.run(batch_of(servable.manifest, reference.take(np.arange(size) % reference.num_rows)))
        one, many = reference.slice(0, 1), reference.slice(0, _MEASURED_ROWS)
        servable.measure(batch_of(servable.manifest, one), batch_of(servable.manifest, many))

    def _compare(self, servable: Servable, reference: pa.Table, tolerance: float) -> None:
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
                hint="package it again with this onnxruntime or torch, or raise HOMEOSTAT_INFERENCE_PROBE_TOLERANCE",
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
                f"version {servable.version_short} answers reference row {row} with {answered[row, place]:.6g} at place {place}; "
                f"when it was packaged the number was {wanted[row, place]:.6g}",
                hint="package it again with this onnxruntime or torch, or raise HOMEOSTAT_INFERENCE_PROBE_TOLERANCE",
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


def read_reference(manifest: Manifest, reference: bytes) -> pa.Table:
    """The reference rows with their answers. Raises UnservableModel."""
    names = [feature.name for feature in manifest.features]
    try:
        file = pq.ParquetFile(BytesIO(reference))
        missing = sorted(set(names) - set(file.schema_arrow.names))
        if missing:
            raise UnservableModel(
                f"{REFERENCE} has no column {missing[0]!r}", hint="package the version again"
            )
        answers = {SCORE, *(lake_columns(manifest.prediction))} - (
            {SCORES} if manifest.prediction.labels else set()
        )
        table = file.read(columns=[*names, *((answers - set(names)) & set(file.schema_arrow.names))])
    except (pa.ArrowException, OSError) as error:
        raise UnservableModel(
            f"{REFERENCE} cannot be read: {error}", hint="package the version again"
        ) from error
    if table.num_rows == 0:
        raise UnservableModel(
            f"{REFERENCE} has no rows, so the version cannot be probed", hint="package the version again"
        )
    return table


def batch_of(manifest: Manifest, rows: pa.Table) -> Batch:
    """Reference rows as model inputs. Allowed values are not checked again: these rows are history."""
    inside = manifest.matrix.columns(manifest.features) if manifest.matrix is not None else ()
    return Batch(rows.num_rows, to_arrays(manifest.features, rows, matrix_columns=inside), {})


def _compared(manifest: Manifest, reference: pa.Table) -> Batch:
    """The rows on which forms are compared: no more than one batch, since float32 on the CPU is slow."""
    return batch_of(manifest, reference.take(spread(reference.num_rows, _MEASURED_ROWS)))


def _verified_bytes(folder: Path, manifest: Manifest, name: str) -> bytes:
    """The file's bytes, compared with the manifest after reading, so that no later change of the file matters."""
    wanted = manifest.files.get(name)
    if wanted is None:
        raise ProjectError(f"the version has no {name}", hint="package it again")
    content = (folder / name).read_bytes()
    if sha256(content).hexdigest() != wanted.sha256:
        raise IntegrityError(f"{name} changed between verifying and loading")
    return content
