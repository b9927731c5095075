"""Releases a stored version at a person's request, and records its model project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.retraining.dependencies import Dependencies
from services.retraining.deployments.deployment_gate import judge
from services.retraining.launchers.project_folder import check_project_folder, trusted_roots
from services.retraining.rollout.releaser import SideSlot
from shared.contracts.lake_schema import type_changes
from shared.contracts.loop_yaml import read_loop_spec
from shared.contracts.manifest import Manifest, short
from shared.contracts.release import Release
from shared.errors import (
    Conflict,
    DependencyUnavailable,
    IntegrityError,
    InvalidRequest,
    NotFound,
    ProjectError,
)
from shared.observability.logs import get_logger
from shared.stores.lake_statistics import stored_features

_log = get_logger(__name__)


@dataclass(frozen=True)
class DeploymentRequest:
    """What a person asks for. `directory`: the project's folder; empty keeps it. `force`: why there is no gate; else empty."""

    model: str
    version: str
    directory: str
    actor: str
    force: str = ""


@dataclass(frozen=True)
class Deployed:
    """The result of a deployment. `notes`: what a person should know. `gate`: the gate's result; None if not evaluated."""

    release: Release
    new: bool
    notes: tuple[str, ...] = ()
    gate: dict[str, Any] | None = None


def deploy(
    deps: Dependencies, verify_stored: Callable[[str, str], None], request: DeploymentRequest
) -> Deployed:
    """Release a stored version and record its project. Raises Conflict; then nothing has changed.

    1. verify signature and digests   2. find features whose type or spelling changes
    3. check that nobody else can change the project, and that it belongs to the model   4. compare with the live version
    5. release, unless the version is served already. Without `force` it is a Conflict if another version became live since 2,
       such as by a promotion or rollback of the loop while the gate compared
    6. record the project: last, so that a refused release leaves the project as it was. Deploying again records it after a crash
    """
    model, version = request.model, request.version
    manifest = deps.store.manifest(model, version)
    if manifest.model != model:
        raise InvalidRequest(
            f"version {short(version)} belongs to model {manifest.model}",
            field="version",
            expected=f"a version of {model}",
        )
    verify_stored(model, version)
    served = deps.store.live_release(model)
    if served is None:
        _check_room(deps, model)
    notes = _type_changes(deps, manifest, served)
    directory = _checked_folder(deps, Path(request.directory), model) if request.directory else ""
    is_served = served is not None and served.version == version
    gate = None
    if served is not None and not is_served and not request.force:
        judged = judge(deps, manifest, served.version)
        notes += judged.notes
        if judged.result is not None:
            gate = judged.result.to_json()
            if not judged.result.passed:
                raise Conflict(
                    f"the gate refuses version {short(version)} against {short(served.version)}, which is served: "
                    f"{judged.result.reason}",
                    hint="improve the model, or give a reason to release it without the gate: homeostat deploy … --force REASON",
                )
    release = served if is_served else None
    if release is None:
        note = f"without the gate: {request.force}" if request.force else ""
        champion = None if request.force else (served.version if served else "")
        release = deps.releaser.deploy(model, version, request.actor, note, champion)
    known = deps.ledger.project(model)
    deps.ledger.record_project(
        model,
        directory or (known.directory if known else ""),
        manifest.loop,
        version,
        request.actor,
        deps.clock(),
    )
    if is_served:
        return Deployed(release, False)
    return Deployed(release, True, tuple(notes), gate)


def start(
    deps: Dependencies,
    verify_stored: Callable[[str, str], None],
    model: str,
    slot: SideSlot,
    version: str,
    share: float,
    actor: str,
) -> Deployed:
    """Serve a stored version as canary or shadow; the model's project stays that of its live version.

    Raises Conflict if it is live, NotFound without a live version.
    """
    manifest = deps.store.manifest(model, version)
    verify_stored(model, version)
    notes = tuple(_type_changes(deps, manifest, deps.store.live_release(model)))
    before = deps.store.latest_generation(model)
    release = deps.releaser.start(model, slot, version=version, share=share, actor=actor)
    return Deployed(release, release.generation > before, notes)


def record_unfinished(deps: Dependencies) -> None:
    """Record the project of each deployment whose process died after the release: runs train what is served.

    The folder stays the recorded one: what the person named is not known. Deploying again records it.
    """
    for model in deps.store.models():
        try:
            served, known = deps.store.live_release(model), deps.ledger.project(model)
            if served is None or served.reason != "deployment":
                continue
            if known is not None and known.version == served.version:
                continue
            spec = deps.store.manifest(model, served.version).loop
        except (IntegrityError, NotFound, DependencyUnavailable) as error:
            _log.error("deployment_not_completed", model=model, problem=str(error))
            continue
        directory = known.directory if known else ""
        deps.ledger.record_project(model, directory, spec, served.version, served.actor, deps.clock())
        _log.warning(
            "deployment_completed",
            model=model,
            version=served.version,
            hint="deploy the project again if its folder changed: the process died in the deployment",
        )


def _check_room(deps: Dependencies, model: str) -> None:
    """Raises Conflict where there are as many models as may be. Deployments at the same moment may be one too many each."""
    models, maximum = deps.store.models(), deps.settings.maximum_models
    if model not in models and len(models) >= maximum:
        raise Conflict(
            f"{len(models)} models have a release, the maximum is {maximum}",
            hint="raise HOMEOSTAT_RETRAINING_MAXIMUM_MODELS, or use another installation",
        )


def _checked_folder(deps: Dependencies, directory: Path, model: str) -> str:
    """The folder without links. Raises InvalidRequest where others could change the training command, or of another model."""
    if not directory.is_absolute():
        raise InvalidRequest(
            "project_directory is not an absolute path",
            field="project_directory",
            expected="an absolute path",
        )
    try:
        checked = check_project_folder(directory, trusted_roots(deps.settings.project_roots))
    except ProjectError as error:
        raise InvalidRequest(
            error.message,
            field="project_directory",
            expected="a folder that only the user of retraining can change",
            hint=error.hint,
        ) from error
    found = read_loop_spec(checked)
    if found.model != model:
        raise InvalidRequest(
            f"the project {checked} belongs to model {found.model}",
            field="project_directory",
            expected=f"a project of {model}",
        )
    return str(checked)


def _type_changes(deps: Dependencies, manifest: Manifest, served: Release | None) -> list[str]:
    """Rows of the served version may be on their way to the lake, so its features count as well as the lake's columns."""
    before = deps.store.manifest(manifest.model, served.version).features if served else ()
    return type_changes(manifest.features, before, stored_features(deps.lake, manifest.model))
