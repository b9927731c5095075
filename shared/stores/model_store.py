"""Versions and release logs, kept through obstore: a local folder, S3, GCS or Azure, by URL.

    <model>/versions/<version>/{manifest.json, model.onnx or model.pt2, reference.parquet, signature.json}
    <model>/releases/000001.json …

Versions are named by their content, so writing one twice is harmless. A release is created with put-if-absent under the next
number: of two writers of the same generation exactly one wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
import orjson
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url
from pydantic import ValidationError

from shared.contracts.loop_spec import MODEL_NAME
from shared.contracts.manifest import MANIFEST, SIGNATURE, Manifest, short
from shared.contracts.release import Release
from shared.errors import Conflict, DependencyUnavailable, IntegrityError, NotFound

_LOG_HINT = "restore the release log from a backup, or release a version again"


def open_model_store(url: str) -> ModelStore:
    """The store at `url`; a missing local folder is created."""
    if url.startswith("file://"):
        folder = Path(unquote(urlsplit(url).path))
        folder.mkdir(parents=True, exist_ok=True)
        return ModelStore(LocalStore(folder))
    return ModelStore(from_url(url))


class ModelStore:
    """Reads and writes versions and releases."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def models(self) -> list[str]:
        """Models that have a release log, in alphabetical order."""
        return [name for name in self._folders("") if self.latest_generation(name) > 0]

    # Versions

    def put_version(self, model: str, version: str, folder: Path) -> None:
        """Store a packaged folder. The manifest is written last: a version without one does not exist."""
        files = sorted(
            (path for path in folder.iterdir() if path.is_file()), key=lambda path: path.name == MANIFEST
        )
        for path in files:
            try:
                obstore.put(
                    self._store, f"{model}/versions/{version}/{path.name}", path.read_bytes(), mode="create"
                )
            except AlreadyExistsError:
                continue
            except BaseError as error:
                raise DependencyUnavailable(f"the model store did not store {path.name}: {error}") from error

    def get_version(self, model: str, version: str, into: Path) -> Manifest:
        """Copy a version's files into the folder `into`. Only the manifest's own digest is verified.

        Raises NotFound, IntegrityError, DependencyUnavailable.
        """
        manifest = self.manifest(model, version)
        into.mkdir(parents=True, exist_ok=True)
        for name in (*manifest.files, MANIFEST, SIGNATURE):
            (into / name).write_bytes(self._get(f"{model}/versions/{version}/{name}"))
        return manifest

    def get_file(self, model: str, version: str, name: str) -> bytes:
        """One file of a version."""
        return self._get(f"{model}/versions/{version}/{name}")

    def manifest(self, model: str, version: str) -> Manifest:
        """The manifest of a version, checked against the version's name."""
        return Manifest.from_bytes(self._get(f"{model}/versions/{version}/{MANIFEST}"), version=version)

    def versions(self, model: str) -> list[str]:
        """Names of the versions of a model, in alphabetical order."""
        return self._folders(f"{model}/versions/")

    # The release log

    def latest_generation(self, model: str) -> int:
        """The highest generation of a model; 0 without a release."""
        numbers = [0]
        for path in self._paths(f"{model}/releases/"):
            stem = path.rsplit("/", 1)[-1].removesuffix(".json")
            if stem.isdigit():
                numbers.append(int(stem))
        return max(numbers)

    def latest_release(self, model: str) -> Release | None:
        """The newest release; None without one."""
        generation = self.latest_generation(model)
        return self.release(model, generation) if generation else None

    def release(self, model: str, generation: int) -> Release:
        """One entry of the log. Raises NotFound, IntegrityError, DependencyUnavailable."""
        raw = self._get(_release_path(model, generation))
        try:
            release = Release.model_validate(orjson.loads(raw))
        except (ValidationError, orjson.JSONDecodeError) as error:
            raise IntegrityError(
                f"release {generation} of {model} cannot be read: {error}", hint=_LOG_HINT
            ) from error
        if (release.model, release.generation) != (model, generation):
            raise IntegrityError(
                f"release {generation} of {model} contains release {release.generation} of {release.model}",
                hint=_LOG_HINT,
            )
        return release

    def releases(self, model: str) -> list[Release]:
        """All releases, oldest first."""
        return [self.release(model, number) for number in range(1, self.latest_generation(model) + 1)]

    def add_release(self, release: Release) -> None:
        """Append to the log: compare-and-swap on the generation. Raises Conflict unless it is the next one."""
        expected = self.latest_generation(release.model) + 1
        if release.generation != expected:
            raise Conflict(
                f"release {release.generation} of {release.model} cannot be added: the next generation is {expected}",
                hint="read the release log again, then retry",
            )
        try:
            obstore.put(
                self._store,
                _release_path(release.model, release.generation),
                orjson.dumps(release.model_dump(mode="json"), option=orjson.OPT_INDENT_2),
                mode="create",
            )
        except AlreadyExistsError as error:
            raise Conflict(
                f"release {release.generation} of {release.model} already exists",
                hint="read the release log again, then retry",
            ) from error
        except BaseError as error:
            raise DependencyUnavailable(
                f"the model store did not store release {release.generation} of {release.model}: {error}",
                hint="read the release log again: the release may have been stored",
            ) from error

    def _folders(self, prefix: str) -> list[str]:
        try:
            listing = obstore.list_with_delimiter(self._store, prefix=prefix)
        except BaseError as error:
            raise DependencyUnavailable(f"the model store does not respond: {error}") from error
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in listing["common_prefixes"])

    def _paths(self, prefix: str) -> Iterator[str]:
        if not _has_model_name(prefix):
            return
        try:
            for batch in obstore.list(self._store, prefix=prefix):
                for entry in batch:
                    yield entry["path"]
        except BaseError as error:
            raise DependencyUnavailable(f"the model store does not respond: {error}") from error

    def _get(self, path: str) -> bytes:
        try:
            if not _has_model_name(path):
                raise FileNotFoundError
            return bytes(obstore.get(self._store, path).bytes())
        except (
            FileNotFoundError,
            ValueError,
        ) as error:  # ValueError: a name that cannot be a path, such as `..`
            model, _, rest = path.partition("/")
            kind, _, name = rest.partition("/")
            what = (
                f"release {int(name.removesuffix('.json'))}"
                if kind == "releases"
                else f"version {_describe(name)}"
            )
            raise NotFound(
                f"model {model} has no {what}",
                hint=f"`homeostat releases {model}` lists the releases",
            ) from error
        except BaseError as error:
            raise DependencyUnavailable(f"the model store does not respond: {error}") from error


def _describe(name: str) -> str:
    version, _, file = name.partition("/")
    return short(version) if file == MANIFEST else f"{short(version)} with a file {file}"


def _has_model_name(path: str) -> bool:
    """Whether a path starts with a valid model name. Other names come from clients, and a store may fail on them."""
    return re.fullmatch(MODEL_NAME.strip("^$"), path.partition("/")[0]) is not None


def _release_path(model: str, generation: int) -> str:
    return f"{model}/releases/{generation:06d}.json"
