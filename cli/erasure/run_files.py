"""Files with rows of the lake that runs of retraining have: which model they are of, and which are written now.

With one model named, files of runs of other models are left as they are. A run that an earlier release began does not say its
model: of its files only rows of the named model's predictions are removed.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import orjson

from shared.files import read_regular
from shared.stores.erasure.row_files import FileRows, erase_in_file, find_in_files
from shared.stores.erasure.subject import Subject

_FOLDERS = ("runs", "evaluations")
_SUMMARY = Path("snapshot", "snapshot.json")
_MAX_BYTES = 1 << 20
# Where retraining writes a snapshot until it is complete. Nothing is written to one that was left by a process that died.
_UNFINISHED = ".snapshot"
_IDLE_SECONDS = 60.0
_LOOK_SECONDS = 0.5


class RunFiles:
    """Of the runs below `home`. `personal`: names of personal features by model, of the models that are erased."""

    def __init__(self, home: Path, personal: Mapping[str, frozenset[str]], *, is_limited: bool) -> None:
        self._home = home
        self._personal = personal
        self._is_limited = is_limited
        self._every = frozenset().union(*personal.values())

    def find(self, subject: Subject, ids: frozenset[str]) -> list[FileRows]:
        """Files with rows of the subject."""
        return [file for file, _ in self._find(subject, ids)]

    def erase(self, subject: Subject, ids: frozenset[str]) -> list[FileRows]:
        """Remove these rows; the files that had any."""
        found = list(self._find(subject, ids))
        for file, personal in found:
            erase_in_file(file.path, subject, ids, personal)
        return [file for file, _ in found]

    def runs_of(self, files: Collection[FileRows]) -> set[str]:
        """Ids of the runs whose training rows these files hold."""
        runs = self._home / "runs"
        return {file.path.relative_to(runs).parts[0] for file in files if file.path.is_relative_to(runs)}

    def wait_for_snapshots(self, seconds: float) -> list[str]:
        """Wait until no snapshot is being taken, `seconds` at most; the runs that still take one."""
        deadline = time.monotonic() + seconds
        while (runs := self._taking_snapshots()) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        return runs

    def _find(self, subject: Subject, ids: frozenset[str]) -> Iterator[tuple[FileRows, frozenset[str]]]:
        for name in _FOLDERS:
            folder = self._home / name
            for run in sorted(folder.iterdir()) if folder.is_dir() else ():
                model = self._model_of(run.name) if self._is_limited else ""
                if model and model not in self._personal:
                    continue
                personal = self._every if model or not self._is_limited else frozenset()
                for file in find_in_files(run, subject, ids, personal):
                    yield file, personal

    def _model_of(self, run: str) -> str:
        """Empty where the run does not say it."""
        try:
            summary = orjson.loads(
                read_regular(self._home / "runs" / run / _SUMMARY, maximum_bytes=_MAX_BYTES)
            )
            return str(summary.get("model", ""))
        except (OSError, ValueError, AttributeError):
            return ""

    def _taking_snapshots(self) -> list[str]:
        now = time.time()
        found = []
        for folder in sorted((self._home / "runs").glob(f"*/{_UNFINISHED}")):
            try:
                changed = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
            except OSError:
                continue  # complete, or removed
            if now - changed < _IDLE_SECONDS:
                found.append(folder.parent.name)
        return found
