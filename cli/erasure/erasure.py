"""Finds and removes the rows of one subject in every store of an installation. The order matters:

1. find the subject's predictions in the lake, and the versions that may know it   2. files of runs   3. reports   4. the spool
5. dead letters   6. the lake: outcomes, then predictions   7. old files of its tables
8. files of runs again, of those that had read the lake before and took a snapshot meanwhile
An interrupted run is repeated: the predictions, by which all else is found, are removed after everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from cli.erasure.dead_letter_values import without_subject
from cli.erasure.run_files import RunFiles
from shared.contracts.manifest import REFERENCE, Manifest, short
from shared.spool.erasure import erase_in_spool
from shared.stores.erasure.dead_letter_rows import rewrite_dead_letters
from shared.stores.erasure.lake_rows import FoundRows, delete_rows, find_rows, remove_old_files
from shared.stores.erasure.row_files import FileRows, subjects_rows
from shared.stores.erasure.subject import Subject, personal_names
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore
from shared.stores.reports.report_store import ReportStore


@dataclass
class Erased:
    """What was found, or removed, of a subject; no value of the subject is in it.

    `references`: versions whose reference data hold rows of the subject, which a version's name fixes. `trained`: versions that
    were, or may have been, trained on such rows. `snapshots`: runs that were still taking a snapshot at the end.
    """

    models: dict[str, FoundRows] = field(default_factory=dict)
    files: list[FileRows] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    spool_rows: int = 0
    spool_rows_in_use: int = 0
    dead_letters: int = 0
    snapshots: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def is_empty(self) -> bool:
        """Whether no rows were found that can be removed."""
        rows = sum(found.predictions for found in self.models.values())
        return not (rows or self.files or self.spool_rows or self.spool_rows_in_use or self.dead_letters)

    def kafka_until(self, retention: timedelta) -> datetime | None:
        """When Kafka has removed the last record with rows of the subject."""
        times = [found.newest for found in self.models.values() if found.newest is not None]
        if self.spool_rows or self.spool_rows_in_use or self.dead_letters:
            times.append(self.began)  # their records may have been sent until now, and be in no table
        return max(times) + retention if times else None


class Erasure:
    """Of one subject, in the given models. `home`: where runs and spool are."""

    def __init__(
        self,
        subject: Subject,
        lake: Lake,
        store: ModelStore,
        reports: ReportStore,
        home: Path,
        models: Sequence[str],
        *,
        is_limited: bool = False,
    ) -> None:
        """`is_limited`: dead letters of other models, and those whose model is unknown, are left."""
        self._subject = subject
        self._lake = lake
        self._store = store
        self._reports = reports
        self._home = home
        self._models = tuple(models)
        self._letters_of = frozenset(models) if is_limited else None
        self._manifests = {model: self._read_manifests(model) for model in models}
        self._personal = {
            model: personal_names(feature for manifest in manifests for feature in manifest.features)
            for model, manifests in self._manifests.items()
        }
        self._files = RunFiles(home, self._personal, is_limited=is_limited)

    def run(
        self,
        *,
        dry_run: bool,
        again: Iterable[str] = (),
        on_found: Callable[[Erased], None] = lambda _: None,
        wait_seconds: float = 60.0,
    ) -> Erased:
        """Remove everything, or with `dry_run` only find it.

        `again`: models of an earlier run that was interrupted. `on_found` is called before anything is removed: what is removed
        shows no more which versions were trained on it. `wait_seconds`: for runs that take a snapshot.
        """
        done = Erased()
        for model in self._models:
            found = find_rows(self._lake, model, self._subject, self._personal[model])
            if found.predictions:
                done.models[model] = found
        ids = frozenset(one for found in done.models.values() for one in found.prediction_ids)
        done.files = self._files.find(self._subject, ids)
        self._find_versions(done, ids)
        if not dry_run:
            on_found(done)
            self._files.erase(self._subject, ids)
        self._erase_reports(done, dry_run)
        done.spool_rows, done.spool_rows_in_use = erase_in_spool(
            self._home / "spool", self._is_subjects, self._personal_of, dry_run=dry_run
        )
        done.dead_letters = rewrite_dead_letters(
            self._lake,
            lambda letter: without_subject(letter, self._subject, ids, self._personal_of, self._letters_of),
            dry_run=dry_run,
        )
        if dry_run:
            return done
        for found in done.models.values():
            delete_rows(self._lake, found)
        for model in {*done.models, *(set(again) & set(self._models))}:
            remove_old_files(self._lake.outcomes(model))
            remove_old_files(self._lake.predictions(model))
        if done.dead_letters or again:
            remove_old_files(self._lake.dead_letters())
        done.snapshots = self._files.wait_for_snapshots(wait_seconds)
        done.files += self._files.erase(self._subject, ids)
        return done

    def _read_manifests(self, model: str) -> list[Manifest]:
        return [self._store.manifest(model, version) for version in self._store.versions(model)]

    def _personal_of(self, model: str) -> frozenset[str]:
        return self._personal.get(model, frozenset())

    def _is_subjects(self, row: int, head: dict[str, Any]) -> bool:
        if head["model"] not in self._personal:
            return False
        names = self._personal_of(head["model"])
        columns = [values for name, values in head["columns"].items() if name.casefold() in names]
        columns += [head["keys"]] if head.get("keys") else []
        return any(column[row] in self._subject.values for column in columns)

    def _find_versions(self, done: Erased, ids: frozenset[str]) -> None:
        runs = self._files.runs_of(done.files)
        for model, manifests in self._manifests.items():
            found = done.models.get(model)
            for manifest in manifests:
                name = f"{model} {short(manifest.version)}"
                raw = self._store.get_file(model, manifest.version, REFERENCE)
                rows = pq.read_table(BytesIO(raw))
                if pc.any(subjects_rows(rows, self._subject, ids, self._personal[model])).as_py():
                    done.references.append(name)
                if manifest.origin.run_id in runs or _may_have_seen(manifest, found):
                    done.trained.append(name)

    def _erase_reports(self, done: Erased, dry_run: bool) -> None:
        for model in done.models:
            if self._reports.has_any(model):
                done.reports.append(model)
                if not dry_run:
                    self._reports.remove_model(model)


def _may_have_seen(manifest: Manifest, found: FoundRows | None) -> bool:
    """Whether a version was made from logged rows up to a time after the subject's first."""
    origin = manifest.origin
    if origin.kind != "run" or found is None or found.first is None or not origin.trained_until:
        return False
    return datetime.fromisoformat(origin.trained_until) >= found.first
