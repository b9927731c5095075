"""Builds a signed version of a model project and stores it in the model store."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cli.deployment.parquet_rows import check_columns, newest, newest_time, read_rows, with_scores
from cli.deployment.review.deployed_rows import DeployedRows
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import REFERENCE, Manifest, Origin
from shared.contracts.version_files.names import ARCHIVE, MODEL
from shared.errors import ProjectError
from shared.models.losses import Scores
from shared.models.probe import probe
from shared.models.runners.loading import load_model
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.packaging import package_version
from shared.models.training.confinement import Confinement
from shared.models.training.training_outputs import METRICS, find_model, read_metrics, read_outputs
from shared.models.training.training_process import TrainingJob, run_training, training_environment
from shared.personal_data.protection import protected_rows
from shared.personal_data.pseudonyms import Pseudonyms
from shared.stores.model_store import ModelStore


@dataclass(frozen=True)
class BuiltVersion:
    """A version in the store, and the rows that it was built from. `training`: those it was trained on; None if that was
    elsewhere."""

    manifest: Manifest
    rows: DeployedRows
    training: pa.Table | None = None


@dataclass(frozen=True)
class VersionBuilder:
    """Packages versions, signs them with `keys` and stores them in `store`; `log` receives the training output.

    `hidden`: folders that the training command must not read.
    `on_progress` is called with each step, `on_training` when the rows of both files are valid and the training command starts.
    """

    store: ModelStore
    keys: Keys
    log: Path
    hidden: tuple[Path, ...] = ()
    on_progress: Callable[[str], None] = lambda _: None
    on_training: Callable[[tuple[str, ...]], None] = lambda _: None

    def trained(self, project: Path, loop: LoopSpec, *, rows: Path, holdout: Path) -> BuiltVersion:
        """Run the training command on `rows` and package what it writes. The command never sees the holdout.

        The reference holds the newest training rows, then the holdout: rows the model was not trained on, whose losses are
        therefore unbiased.
        """
        policy = loop.retraining
        if policy is None:
            raise ProjectError(
                f"loop.yaml of {loop.model} has no retraining.command to train with",
                hint="add `retraining: {command: [...]}`, or package a trained model with --artifact",
            )
        for path in (rows, holdout):
            check_columns(path, loop)  # of both, before a large file is read
        self.on_progress("reading the rows")
        training_rows = self._read(rows, loop)
        held_out = self._read(holdout, loop)
        with tempfile.TemporaryDirectory(prefix="homeostat-deploy-") as name:
            folder = Path(name)
            # One chunk a column, so that the same rows give the same bytes when they are made again.
            pq.write_table(training_rows.combine_chunks(), folder / "train.parquet")
            out = folder / "out"
            out.mkdir()
            self.on_progress(f"training on {training_rows.num_rows} rows")
            self.on_training(policy.command)
            job = TrainingJob(
                run_id=f"deploy-{loop.model}",
                command=policy.command,
                directory=project,
                environment=training_environment(
                    train=folder / "train.parquet", out=out, passed=policy.environment
                ),
                log=self.log,
                time_limit=policy.time_limit,
                confinement=Confinement.of(loop.training).hiding(self.hidden, (project,)),
            )
            run_training(job)
            metrics = read_outputs(out)
            rows_known = newest(training_rows, held_out)
            self.on_progress(f"scoring {rows_known.num_rows} reference rows")
            model = find_model(out)
            scores = _scores(model, loop, rows_known)
            reference = folder / REFERENCE
            scored = _without_unlogged(with_scores(rows_known, loop, scores), loop)
            pq.write_table(scored, reference)
            origin = Origin(
                kind="deployment",
                snapshot=sha256((folder / "train.parquet").read_bytes()).hexdigest(),
                trained_until=newest_time(training_rows).isoformat(),
            )
            manifest = self._package(loop, model=model, reference=reference, origin=origin, metrics=metrics)
        given = pa.concat_tables([training_rows, held_out])
        rows_of = DeployedRows(given, scored, newest_time(training_rows))
        return BuiltVersion(manifest, rows_of, training_rows)

    def artifact(self, folder: Path, loop: LoopSpec) -> BuiltVersion:
        """Package a model that was trained elsewhere: model.onnx or model.pt2, metrics.json, reference.parquet.

        The newest reference row counts as the end of its training data: nothing else says how old the model is.
        """
        for name in (METRICS, REFERENCE):
            if not (folder / name).is_file():
                raise ProjectError(
                    f"{folder} has no {name}",
                    hint=f"put {MODEL} or {ARCHIVE}, {METRICS} and {REFERENCE} there",
                )
        model = find_model(folder)
        given = self._read(folder / REFERENCE, loop)
        rows = newest(given)
        self.on_progress(f"scoring {rows.num_rows} reference rows")
        scores = _scores(model, loop, rows)
        with tempfile.TemporaryDirectory(prefix="homeostat-deploy-") as name:
            reference = Path(name) / REFERENCE
            scored = _without_unlogged(with_scores(rows, loop, scores), loop)
            pq.write_table(scored, reference)
            origin = Origin(kind="deployment", trained_until=newest_time(rows).isoformat())
            metrics = read_metrics(folder / METRICS)
            manifest = self._package(loop, model=model, reference=reference, origin=origin, metrics=metrics)
        return BuiltVersion(manifest, DeployedRows(given, scored))

    def _read(self, path: Path, loop: LoopSpec) -> pa.Table:
        """The rows of a file, with pseudonyms where the server puts them: the model is trained on what it will receive."""
        rows = read_rows(path, loop, datetime.now(UTC))
        replaced = [feature for feature in loop.features if feature.personal == "pseudonym"]
        return protected_rows(rows, replaced, Pseudonyms.read(self.keys.pseudonyms).of) if replaced else rows

    def _package(
        self, loop: LoopSpec, *, model: Path, reference: Path, origin: Origin, metrics: dict[str, float]
    ) -> Manifest:
        self.on_progress("packaging and signing")
        with tempfile.TemporaryDirectory(prefix="homeostat-version-") as name:
            folder = Path(name) / "version"
            manifest = package_version(
                folder,
                loop=loop,
                model=model,
                reference=reference,
                origin=origin,
                metrics=metrics,
                signing_key=self.keys.signing,
            )
            self.store.put_version(loop.model, manifest.version, folder)
            return manifest


def _without_unlogged(reference: pa.Table, loop: LoopSpec) -> pa.Table:
    """The reference without the values that only the model may see; its scores were computed with them."""
    return protected_rows(reference, [feature for feature in loop.features if feature.is_unlogged], str)


def _scores(model: Path, loop: LoopSpec, rows: pa.Table) -> Scores:
    """The scores of reference rows by a probed model. Raises UnservableModel."""
    loaded = load_model(model, loop)
    probe(loaded.outputs, loop.features, loop.prediction, rows)
    return loaded.score(rows)
