"""A version that was fetched and verified, and is not loaded yet."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.inference.models.input_schema import Batch
from shared.contracts.lake_schema import SCORE, SCORES
from shared.contracts.manifest import REFERENCE, Manifest, short
from shared.contracts.release import Release
from shared.errors import IntegrityError, ProjectError, UnservableModel
from shared.models.answers import lake_columns
from shared.models.feature_arrays import to_arrays
from shared.models.probe import spread
from shared.models.signed_versions.verification import verify_version
from shared.stores.model_store import ModelStore


@dataclass(frozen=True)
class Candidate:
    """The verified bytes of a release. `rows`: the reference rows on which it is probed."""

    release: Release
    manifest: Manifest
    model: bytes
    reference: pa.Table
    rows: pa.Table


def fetch(store: ModelStore, release: Release, *, verifying_key: Path, probe_rows: int) -> Candidate:
    """Fetch a release into a private folder, verify it and read it. Raises IntegrityError, UnservableModel, NotFound."""
    with tempfile.TemporaryDirectory(prefix="homeostat-version-") as name:
        folder = Path(name)
        store.get_version(release.model, release.version, folder)
        manifest = verify_version(folder, version=release.version, verifying_key=verifying_key)
        if manifest.model != release.model:
            raise IntegrityError(
                f"version {short(release.version)} belongs to model {manifest.model}, not {release.model}"
            )
        model = _verified_bytes(folder, manifest, manifest.model_file)
        reference = read_reference(manifest, _verified_bytes(folder, manifest, REFERENCE))
    return Candidate(
        release, manifest, model, reference, reference.take(spread(reference.num_rows, probe_rows))
    )


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


def _verified_bytes(folder: Path, manifest: Manifest, name: str) -> bytes:
    """The file's bytes, compared with the manifest after reading, so that no later change of the file matters."""
    wanted = manifest.files.get(name)
    if wanted is None:
        raise ProjectError(f"the version has no {name}", hint="package it again")
    content = (folder / name).read_bytes()
    if sha256(content).hexdigest() != wanted.sha256:
        raise IntegrityError(f"{name} changed between verifying and loading")
    return content
