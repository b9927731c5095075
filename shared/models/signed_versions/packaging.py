"""Writes a version folder: its files, a manifest with their digests, and an OpenSSF model signature."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import MANIFEST, REFERENCE, SIGNATURE, Manifest, Origin
from shared.contracts.version_files.names import ARCHIVE, MODEL
from shared.errors import ProjectError
from shared.files import UnusableFile, copy_regular
from shared.models.model_bytes import MAX_MODEL_BYTES
from shared.models.signed_versions.digests import digest_of_file, signed_files
from shared.models.signed_versions.signing_library import prepare_signing_library


def package_version(
    folder: Path,
    *,
    loop: LoopSpec,
    model: Path,
    reference: Path,
    origin: Origin,
    metrics: Mapping[str, float],
    signing_key: Path,
) -> Manifest:
    """Write a complete, signed version into the empty or new `folder`; its name is `manifest.version`.

    `model`: a program of torch.export if its name ends with .pt2, else a model of ONNX.

    1. copy the files   2. write the manifest with their digests   3. sign everything
    """
    for name, value in metrics.items():
        if not isfinite(value):
            raise ProjectError(
                f"metric {name} of the new version is {value}",
                hint="write only finite numbers to metrics.json",
            )
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    model_file = ARCHIVE if model.suffix == Path(ARCHIVE).suffix else MODEL
    for name, source in ((model_file, model), (REFERENCE, reference)):
        try:
            copy_regular(source, folder / name, maximum_bytes=MAX_MODEL_BYTES)
        except FileNotFoundError as error:
            raise ProjectError(f"{source} is missing", hint=f"a version needs {name}") from error
        except UnusableFile as error:
            raise ProjectError(
                f"{source} cannot be packaged: {error.strerror}", hint="put a copy of the file there"
            ) from error
        files[name] = digest_of_file(folder / name)
    manifest = Manifest(model=loop.model, loop=loop, files=files, origin=origin, metrics=dict(metrics))
    (folder / MANIFEST).write_bytes(manifest.to_bytes())
    prepare_signing_library()
    from model_signing import signing

    signer = signing.Config()  # type: ignore[no-untyped-call]
    signer.use_elliptic_key_signer(private_key=signing_key).set_hashing_config(signed_files(folder))
    signer.sign(folder, folder / SIGNATURE)
    return manifest
