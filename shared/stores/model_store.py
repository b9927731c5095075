"""Versions and release logs, kept through obstore: a local folder, S3, GCS or Azure, by URL.

    <model>/versions/<version>/{manifest.json, model.onnx or model.pt2, reference.parquet, signature.json}
    <model>/releases/000001.json …

Versions are named by their content, so writing one twice is harmless. A release is created with put-if-absent under the next
number: of two writers of the same generation exactly one wins. It is signed, and names the digest of the release before it.

Other names in the store are ignored. A log or version that cannot be read is an error of its model only: `models` lists it, and
its methods raise.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import orjson
from obstore.store import LocalStore, ObjectStore, from_url
from pydantic import ValidationError

from shared.contracts.loop_spec import MODEL_NAME
from shared.contracts.manifest import MANIFEST, SIGNATURE, Manifest, short
from shared.contracts.release import Release, Slot, slots
from shared.errors import Conflict, DependencyUnavailable, IntegrityError, NotFound
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.release_signature import (
    RELEASE_LOG_HINT,
    entry_digest,
    sign_release,
    verify_release,
)
from shared.stores.objects import objects_of

_RELEASE = re.compile(r"([0-9]{6,12})\.json")
_VERSION = re.compile(r"[0-9a-z]{1,64}")
# A file of another size than its manifest says is read up to here: the caller verifies digests.
_MAX_RELEASE_BYTES = 1 << 20
_MAX_SIGNATURE_BYTES = 1 << 20
_MAX_MANIFEST_BYTES = 16 << 20


def open_model_store(url: str, keys: Keys | None) -> ModelStore:
    """The store at `url`; a missing local folder is created. Without `keys`, releases are neither signed nor verified."""
    if url.startswith("file://"):
        folder = Path(unquote(urlsplit(url).path))
        folder.mkdir(parents=True, exist_ok=True)
        return ModelStore(LocalStore(folder), keys)
    return ModelStore(from_url(url), keys)


class ModelStore:
    """Reads and writes versions and releases."""

    def __init__(self, store: ObjectStore, keys: Keys | None) -> None:
        self._objects = objects_of(store)
        self._keys = keys
        # By model, the digest of the newest entry and what its log says is served: it is read often, and an entry is never
        # changed. Each entry names the one before it, so another log has another digest here.
        self._slots: dict[str, tuple[str, dict[Slot, Release]]] = {}

    def models(self) -> list[str]:
        """Models that have a release log, in alphabetical order; also those whose log cannot be read."""
        return [name for name in self._objects.folders("") if _is_model(name) and self._has_log(name)]

    # Versions

    def put_version(self, model: str, version: str, folder: Path) -> None:
        """Store a packaged folder. The manifest is written last: a version without one does not exist."""
        files = sorted(
            (path for path in folder.iterdir() if path.is_file()), key=lambda path: path.name == MANIFEST
        )
        for path in files:
            self._objects.create(f"{model}/versions/{version}/{path.name}", path.read_bytes())

    def get_version(self, model: str, version: str, into: Path) -> Manifest:
        """Copy a version's files into the folder `into`. Only the manifest's own digest is verified.

        Raises NotFound, IntegrityError, DependencyUnavailable.
        """
        manifest = self.manifest(model, version)
        into.mkdir(parents=True, exist_ok=True)
        for name in (*manifest.files, MANIFEST, SIGNATURE):
            (into / name).write_bytes(self._version_file(manifest, version, name))
        return manifest

    def get_file(self, model: str, version: str, name: str) -> bytes:
        """One file of a version."""
        return self._version_file(self.manifest(model, version), version, name)

    def manifest(self, model: str, version: str) -> Manifest:
        """The manifest of a version, checked against the version's name."""
        raw = self._read(f"{model}/versions/{version}/{MANIFEST}", _MAX_MANIFEST_BYTES)
        return Manifest.from_bytes(raw, version=version)

    def versions(self, model: str) -> list[str]:
        """Names of the versions of a model, in alphabetical order."""
        if not _is_model(model):
            return []
        return [name for name in self._objects.folders(f"{model}/versions") if _VERSION.fullmatch(name)]

    # The release log

    def latest_generation(self, model: str) -> int:
        """The highest generation of a model; 0 without a release."""
        if not _is_model(model):
            return 0
        found = map(_RELEASE.fullmatch, self._objects.files(f"{model}/releases"))
        return max((int(name[1]) for name in found if name is not None), default=0)

    def live_release(self, model: str) -> Release | None:
        """The release whose version answers requests; None without one."""
        return self.slots(model).get("live")

    def slots(self, model: str) -> dict[Slot, Release]:
        """The release of each slot that is served. Raises IntegrityError, DependencyUnavailable.

        Reads the newest entry, and those before it back to the live one if it has changed.
        """
        newest = self.latest_generation(model)
        if not newest:
            return {}
        raw = self._entry(model, newest)
        digest = entry_digest(raw)
        known = self._slots.get(model)
        if known is None or known[0] != digest:
            known = self._slots[model] = (digest, self._read_slots(raw, model, newest))
        return dict(known[1])

    def _read_slots(self, raw: bytes, model: str, newest: int) -> dict[Slot, Release]:
        found = [self._release_of(raw, model, newest)]
        while found[-1].slot != "live":
            before = found[-1].generation - 1
            raw = self._entry(model, before)
            self._check_order(found[-1], entry_digest(raw))
            found.append(self._release_of(raw, model, before))
        return slots(reversed(found))

    def release(self, model: str, generation: int) -> Release:
        """One entry of the log. Raises NotFound, IntegrityError, DependencyUnavailable."""
        return self._release_of(self._entry(model, generation), model, generation)

    def _release_of(self, raw: bytes, model: str, generation: int) -> Release:
        try:
            release = Release.model_validate(orjson.loads(raw))
        except (ValidationError, orjson.JSONDecodeError) as error:
            raise IntegrityError(
                f"release {generation} of {model} cannot be read: {error}", hint=RELEASE_LOG_HINT
            ) from error
        if (release.model, release.generation) != (model, generation):
            raise IntegrityError(
                f"release {generation} of {model} contains release {release.generation} of {release.model}",
                hint=RELEASE_LOG_HINT,
            )
        if not _VERSION.fullmatch(release.version):  # it becomes a path
            raise IntegrityError(
                f"release {generation} of {model} names no version: {release.version[:80]!r}",
                hint=RELEASE_LOG_HINT,
            )
        self._verify(release)
        return release

    def releases(self, model: str) -> list[Release]:
        """All releases, oldest first. Raises IntegrityError also where one does not follow the one before it."""
        found, digest = [], ""
        for number in range(1, self.latest_generation(model) + 1):
            raw = self._entry(model, number)
            release = self._release_of(raw, model, number)
            self._check_order(release, digest)
            found.append(release)
            digest = entry_digest(raw)
        return found

    def add_release(self, release: Release) -> Release:
        """Append to the log: compare-and-swap on the generation; returns the signed release.

        Raises Conflict unless it is the next one.
        """
        expected = self.latest_generation(release.model) + 1
        if release.generation != expected:
            raise Conflict(
                f"release {release.generation} of {release.model} cannot be added: the next generation is {expected}",
                hint="read the release log again, then retry",
            )
        if self._keys is not None:
            before = self._entry(release.model, expected - 1) if expected > 1 else b""
            digest = entry_digest(before) if before else ""
            release = sign_release(release.model_copy(update={"previous_entry": digest}), self._keys)
        content = orjson.dumps(release.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
        try:
            is_new = self._objects.create(_release_path(release.model, release.generation), content)
        except DependencyUnavailable as error:
            raise DependencyUnavailable(
                error.message, hint="read the release log again: the release may have been stored"
            ) from error
        if not is_new:
            raise Conflict(
                f"release {release.generation} of {release.model} already exists",
                hint="read the release log again, then retry",
            )
        return release

    def _check_order(self, release: Release, digest_before: str) -> None:
        if self._keys is not None and release.previous_entry != digest_before:
            number = release.generation
            raise IntegrityError(
                f"release {number} of {release.model} does not follow release {number - 1}: the log was changed",
                hint=RELEASE_LOG_HINT,
            )

    def _entry(self, model: str, generation: int) -> bytes:
        return self._read(_release_path(model, generation), _MAX_RELEASE_BYTES)

    def _verify(self, release: Release) -> None:
        if self._keys is not None:
            verify_release(release, self._keys)

    def _has_log(self, model: str) -> bool:
        try:
            return self.latest_generation(model) > 0
        except DependencyUnavailable:
            return True  # reading its log says what is wrong with it

    def _version_file(self, manifest: Manifest, version: str, name: str) -> bytes:
        limits = {MANIFEST: _MAX_MANIFEST_BYTES, SIGNATURE: _MAX_SIGNATURE_BYTES}
        digest = manifest.files.get(name)
        size = digest.size if digest is not None else limits.get(name, 0)
        try:
            return self._read(f"{manifest.model}/versions/{version}/{name}", size)
        except IntegrityError as error:
            raise IntegrityError(
                f"{name} of version {short(version)} has another digest than its manifest: {error.message}",
                hint=error.hint,
            ) from error

    def _read(self, path: str, maximum_bytes: int) -> bytes:
        model, _, rest = path.partition("/")
        try:
            # Model names come from clients, and a store may fail on other names.
            if not _is_model(model):
                raise FileNotFoundError
            return self._objects.read(path, maximum_bytes)
        except FileNotFoundError as error:
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


def _describe(name: str) -> str:
    version, _, file = name.partition("/")
    return short(version) if file == MANIFEST else f"{short(version)} with a file {file}"


def _is_model(name: str) -> bool:
    return re.fullmatch(MODEL_NAME.strip("^$"), name) is not None


def _release_path(model: str, generation: int) -> str:
    return f"{model}/releases/{generation:06d}.json"
