"""A version's name fixes every byte: the manifest is canonical, checked, and never leads outside its folder."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import FileDigest, Manifest, Origin, short
from shared.contracts.version_files.names import ARCHIVE, MODEL
from shared.errors import IntegrityError

DIGEST = FileDigest(sha256="0" * 64, size=9)


def manifest_of(loop: LoopSpec, **changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "model": loop.model,
        "loop": loop,
        "files": {MODEL: DIGEST},
        "origin": Origin(kind="deployment"),
    }
    return Manifest.model_validate({**fields, **changes})


def test_the_name_is_the_digest_of_the_canonical_bytes(loop_spec: LoopSpec) -> None:
    manifest = manifest_of(loop_spec)
    assert manifest.version == sha256(manifest.to_bytes()).hexdigest()
    assert Manifest.from_bytes(manifest.to_bytes(), version=manifest.version) == manifest
    assert manifest_of(loop_spec) == manifest


def test_the_order_of_metrics_does_not_matter(loop_spec: LoopSpec) -> None:
    one = manifest_of(loop_spec, metrics={"auc": 0.7, "log_loss": 0.5})
    other = manifest_of(loop_spec, metrics={"log_loss": 0.5, "auc": 0.7})
    assert one.version == other.version


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"log_loss": 0.4}},
        {"files": {MODEL: FileDigest(sha256="1" * 64, size=9)}},
        {"files": {MODEL: FileDigest(sha256="0" * 64, size=8)}},
        {"origin": Origin(kind="run", run_id="r1")},
    ],
)
def test_any_difference_gives_another_name(loop_spec: LoopSpec, changes: dict[str, Any]) -> None:
    assert manifest_of(loop_spec, **changes).version != manifest_of(loop_spec).version


def test_the_inputs_and_the_prediction_are_the_specification_s(loop_spec: LoopSpec) -> None:
    manifest = manifest_of(loop_spec)
    assert manifest.features == loop_spec.features
    assert manifest.prediction == loop_spec.prediction


@pytest.mark.parametrize("name", [MODEL, ARCHIVE])
def test_the_file_of_the_model_says_its_format(loop_spec: LoopSpec, name: str) -> None:
    assert manifest_of(loop_spec, files={name: DIGEST, "reference.parquet": DIGEST}).model_file == name


@pytest.mark.parametrize("names", [(), (MODEL, ARCHIVE)])
def test_a_version_holds_one_model(loop_spec: LoopSpec, names: tuple[str, ...]) -> None:
    manifest = manifest_of(loop_spec, files=dict.fromkeys(names, DIGEST))
    with pytest.raises(IntegrityError, match=r"expected model\.onnx or model\.pt2"):
        _ = manifest.model_file


def test_one_changed_byte_is_tampering(loop_spec: LoopSpec) -> None:
    manifest = manifest_of(loop_spec)
    raw = manifest.to_bytes().replace(b'"size":9', b'"size":8')
    with pytest.raises(IntegrityError, match=short(manifest.version)):
        Manifest.from_bytes(raw, version=manifest.version)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"format": 2}'])
def test_bytes_that_have_the_digest_but_are_no_manifest_are_refused(raw: bytes) -> None:
    with pytest.raises(IntegrityError, match="cannot be read"):
        Manifest.from_bytes(raw, version=sha256(raw).hexdigest())


@pytest.mark.parametrize(
    "name", ["../model.onnx", "/etc/passwd", "a/b", "..", ".hidden", "", "Model.onnx", "a\\b", "a\n"]
)
def test_a_file_name_is_never_a_path(loop_spec: LoopSpec, name: str) -> None:
    with pytest.raises(ValidationError):
        manifest_of(loop_spec, files={name: DIGEST})
    raw = orjson.dumps(
        {**orjson.loads(manifest_of(loop_spec).to_bytes()), "files": {name: DIGEST.model_dump()}}
    )
    with pytest.raises(IntegrityError):
        Manifest.from_bytes(raw, version=sha256(raw).hexdigest())


def test_a_number_json_cannot_hold_is_refused(loop_spec: LoopSpec) -> None:
    with pytest.raises(ValidationError, match="finite"):
        manifest_of(loop_spec, metrics={"auc": float("nan")})


def test_the_short_form_has_twelve_characters() -> None:
    assert short("0123456789abcdef") == "0123456789ab"
