"""Entries of the release log count only as this installation has signed them, in their own place."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.contracts.release import Release
from shared.errors import IntegrityError, OperatorError
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.models.signed_versions.release_signature import sign_release, verify_release
from shared.stores.model_store import ModelStore, open_model_store


def entry(generation: int = 1, model: str = "toy", version: str = "a") -> Release:
    return Release(
        model=model,
        generation=generation,
        version=version,
        reason="deployment",
        actor="ann",
        released_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def canary(generation: int, version: str, share: float = 0.1) -> Release:
    fields = entry(generation, version=version).model_dump()
    reason = "canary" if share else "withdrawal"
    return Release.model_validate({**fields, "reason": reason, "slot": "canary", "share": share})


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return ensure_keys(tmp_path)


@pytest.fixture
def store(tmp_path: Path, keys: Keys) -> ModelStore:
    opened = open_model_store((tmp_path / "models").as_uri(), keys)
    for generation, version in enumerate("abc", start=1):
        opened.add_release(entry(generation, version=version))
    return opened


def path(tmp_path: Path, generation: int, model: str = "toy") -> Path:
    return tmp_path / "models" / model / "releases" / f"{generation:06d}.json"


def reopened(tmp_path: Path) -> ModelStore:
    return open_model_store((tmp_path / "models").as_uri(), Keys(tmp_path / "keys"))


def test_signed_entry_is_verified_with_the_public_key(keys: Keys) -> None:
    signed = sign_release(entry(), keys)
    verify_release(signed, keys)
    keys.signing.unlink()
    verify_release(signed, keys)
    with pytest.raises(OperatorError, match="signing.pem cannot be read"):
        sign_release(entry(), keys)
    keys.verifying.unlink()
    with pytest.raises(OperatorError, match="signing.pub cannot be read"):
        verify_release(signed, keys)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"generation": 2},
        {"version": "b"},
        {"actor": "loop"},
        {"reason": "rollback"},
        {"note": "x"},
        {"previous_entry": "0" * 64},
        {"released_at": datetime(2026, 1, 2, tzinfo=UTC)},
        {"signature": "AAAA"},
        {"signature": "no base64!"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_is_signed(keys: Keys, change: dict[str, object]) -> None:
    signed = sign_release(entry(), keys).model_copy(update=change)
    with pytest.raises(IntegrityError, match="not signed with the key of this installation, or was changed"):
        verify_release(signed, keys)


def test_entry_from_before_there_were_slots_keeps_its_signature(keys: Keys) -> None:
    fields = {
        "actor": "ann",
        "cause_key": "",
        "generation": 7,
        "model": "toy",
        "note": "",
        "previous": "a",
        "previous_entry": "0" * 64,
        "reason": "rollback",
        "released_at": "2026-01-01T00:00:00Z",
        "run_id": "",
        "version": "b",
    }
    key = serialization.load_pem_private_key(keys.signing.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS), ec.ECDSA(hashes.SHA256()))
    verify_release(Release.model_validate({**fields, "signature": b64encode(signature).decode()}), keys)


@pytest.mark.parametrize("change", [{"slot": "live", "share": 1.0}, {"slot": "shadow"}, {"share": 0.5}])
def test_slot_and_share_are_signed(keys: Keys, change: dict[str, object]) -> None:
    signed = sign_release(canary(2, "b"), keys)
    verify_release(Release.model_validate(orjson.loads(orjson.dumps(signed.model_dump(mode="json")))), keys)
    with pytest.raises(IntegrityError, match="or was changed"):
        verify_release(signed.model_copy(update=change), keys)


def test_entries_without_signature_and_of_another_installation_are_refused(
    keys: Keys, tmp_path: Path
) -> None:
    with pytest.raises(IntegrityError, match="release 1 of toy is not signed"):
        verify_release(entry(), keys)
    with pytest.raises(IntegrityError, match="not signed with the key of this installation"):
        verify_release(sign_release(entry(), ensure_keys(tmp_path / "other")), keys)


def test_log_is_signed_and_chained(store: ModelStore, tmp_path: Path) -> None:
    releases = reopened(tmp_path).releases("toy")
    assert [release.version for release in releases] == ["a", "b", "c"]
    assert releases[0].previous_entry == ""
    assert len({release.previous_entry for release in releases}) == 3


def test_copy_of_an_old_entry_does_not_put_its_version_back(store: ModelStore, tmp_path: Path) -> None:
    path(tmp_path, 4).write_bytes(path(tmp_path, 1).read_bytes())
    with pytest.raises(IntegrityError):
        store.live_release("toy")
    document = orjson.loads(path(tmp_path, 1).read_bytes()) | {"generation": 4}
    path(tmp_path, 4).write_bytes(orjson.dumps(document))
    for opened in (store, reopened(tmp_path)):
        with pytest.raises(IntegrityError, match="or was changed"):
            opened.live_release("toy")


def test_log_with_a_replaced_entry_is_not_read(store: ModelStore, tmp_path: Path, keys: Keys) -> None:
    """Signed, but by itself: a log of another time of this installation, for example."""
    lone = sign_release(entry(2, version="z"), keys)
    path(tmp_path, 2).write_bytes(orjson.dumps(lone.model_dump(mode="json")))
    with pytest.raises(IntegrityError, match="release 2 of toy does not follow release 1"):
        store.releases("toy")


def test_entry_that_was_verified_is_verified_again_after_a_change(store: ModelStore, tmp_path: Path) -> None:
    assert store.live_release("toy") == store.live_release("toy")
    document = orjson.loads(path(tmp_path, 3).read_bytes()) | {"version": "z"}
    path(tmp_path, 3).write_bytes(orjson.dumps(document))
    with pytest.raises(IntegrityError, match="or was changed"):
        store.live_release("toy")


def test_entry_before_a_canary_is_verified_too(store: ModelStore, tmp_path: Path) -> None:
    store.add_release(canary(4, "d"))
    assert {slot: release.version for slot, release in reopened(tmp_path).slots("toy").items()} == {
        "live": "c",
        "canary": "d",
    }
    path(tmp_path, 3).write_bytes(path(tmp_path, 3).read_bytes().replace(b'"c"', b'"z"'))
    with pytest.raises(IntegrityError, match="release 4 of toy does not follow release 3"):
        reopened(tmp_path).live_release("toy")
