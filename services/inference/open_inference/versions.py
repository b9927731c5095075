"""Versions as requests name them: the digest of the live version, or its beginning. Pure."""

from __future__ import annotations

from services.inference.models.servable import Servable
from services.inference.open_inference.codec import InferRequest
from shared.contracts.manifest import SHORT
from shared.errors import InvalidRequest, NotFound


def is_version(servable: Servable, name: str) -> bool:
    """Whether `name` is this version; empty: any."""
    return not name or servable.version == name or (len(name) >= SHORT and servable.version.startswith(name))


def check_version(servable: Servable, name: str) -> None:
    """Raises NotFound for another version than the live one."""
    if not is_version(servable, name):
        raise NotFound(
            f"version {name[:64]!r} of model {servable.model} is not loaded",
            hint=f"the live version is {servable.version} (generation {servable.generation})",
        )


def check_named_model(servable: Servable, wire: InferRequest) -> None:
    """A body may name its model as well; then it has to be the model of the path. Raises InvalidRequest, NotFound."""
    if wire.model_name not in (None, servable.model):
        raise InvalidRequest(
            f"`model_name` is {wire.model_name[:80]!r}, but the path names model {servable.model}",
            field="model_name",
            expected="the model of the path, or no `model_name`",
            status=400,
        )
    check_version(servable, wire.model_version or "")
