"""Versions out of the store, opened to be scored beside the served one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.retraining.isolated_models import OpenModel
from shared.contracts.lake_schema import reads_as
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import short
from shared.errors import UnservableModel
from shared.models.answers import are_comparable
from shared.models.runners.model_runner import ModelRunner
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.verification import verify_version
from shared.stores.model_store import ModelStore

_NO_ACTION = "no action needed: the two versions cannot be compared"


@dataclass(frozen=True)
class StoredModel:
    """A version of the store, opened."""

    version: str
    spec: LoopSpec
    model: ModelRunner


@contextmanager
def stored_model(
    store: ModelStore, keys: Keys, model: str, version: str, open_model: OpenModel, doing: str
) -> Iterator[StoredModel]:
    """Fetch a version from the store, verify it and open it. `doing`: see OpenModel.

    Raises NotFound, IntegrityError, UnservableModel, DependencyUnavailable.
    """
    with tempfile.TemporaryDirectory(prefix="homeostat-") as place:
        folder = Path(place) / "version"
        store.get_version(model, version, folder)
        manifest = verify_version(folder, version=version, verifying_key=keys.verifying)
        with open_model(folder / manifest.model_file, manifest.loop, doing) as opened:
            yield StoredModel(version, manifest.loop, opened)


def verify_stored(store: ModelStore, keys: Keys, model: str, version: str) -> None:
    """Verify signature and digests of a stored version. Raises IntegrityError, NotFound."""
    with tempfile.TemporaryDirectory(prefix="homeostat-") as place:
        store.get_version(model, version, Path(place) / "version")
        verify_version(Path(place) / "version", version=version, verifying_key=keys.verifying)


def check_comparable(version: str, spec: LoopSpec, served: LoopSpec) -> None:
    """Raises UnservableModel if a version with `spec` cannot be scored on the rows of the served one, or has another loss."""
    missing = {item.name for item in spec.features} - {item.name for item in served.features}
    if missing:
        raise UnservableModel(
            f"version {short(version)} takes {min(missing)}, which loop.yaml no longer has", hint=_NO_ACTION
        )
    served_types = {item.name: item.type for item in served.features}
    for feature in spec.features:
        if not reads_as(served_types[feature.name], feature.type):
            raise UnservableModel(
                f"feature {feature.name} is of type {served_types[feature.name]}; version {short(version)} takes {feature.type}",
                hint=_NO_ACTION,
            )
    if not are_comparable(spec.prediction, served.prediction):
        before, now = spec.prediction, served.prediction
        names = " of other names" if before.names and now.names else ""
        raise UnservableModel(
            f"predictions of version {short(version)} are of kind {before.kind}, those of the served one of kind "
            f"{now.kind}{names}",
            hint=_NO_ACTION,
        )
