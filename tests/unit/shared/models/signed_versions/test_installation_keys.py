"""The installation's keys: made once, whoever is first; private; never half there."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from cryptography.hazmat.primitives import serialization

from shared.errors import OperatorError
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.models.signed_versions.key_files import record_secrets

SECRETS = {"signing.pem", "prediction_id.key", "prediction_log.key", "verdicts.key", "pseudonyms.key"}
ALL = SECRETS | {"signing.pub"}


def public_half(keys: Keys) -> bytes:
    private = serialization.load_pem_private_key(keys.signing.read_bytes(), password=None)
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_keys_are_created_once(tmp_path: Path) -> None:
    first = ensure_keys(tmp_path)
    before = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    assert set(before) == ALL
    assert len(first.prediction_id_secret()) == 32
    again = ensure_keys(tmp_path)
    assert {path.name: path.read_bytes() for path in again.folder.iterdir()} == before


def test_two_installations_have_different_keys(tmp_path: Path) -> None:
    one, other = ensure_keys(tmp_path / "one"), ensure_keys(tmp_path / "other")
    assert one.prediction_id_secret() != other.prediction_id_secret()
    assert one.signing.read_bytes() != other.signing.read_bytes()


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700
    for name in SECRETS:
        assert stat.S_IMODE((keys.folder / name).stat().st_mode) == 0o600, name


def test_concurrent_starts_agree_on_one_key_pair(tmp_path: Path) -> None:
    starters = 8
    gate = Barrier(starters)

    def start(_: int) -> tuple[bytes, bytes, bytes]:
        gate.wait(timeout=10)
        keys = ensure_keys(tmp_path)
        return keys.prediction_id_secret(), keys.signing.read_bytes(), keys.verifying.read_bytes()

    with ThreadPoolExecutor(starters) as pool:
        seen = set(pool.map(start, range(starters)))
    assert len(seen) == 1
    keys = Keys(tmp_path / "keys")
    assert keys.verifying.read_bytes() == public_half(keys)
    assert {path.name for path in keys.folder.iterdir()} == ALL


def test_existing_keys_are_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second looked before the first had written: for it there were no keys yet."""
    first = ensure_keys(tmp_path)
    before = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    monkeypatch.setattr(Path, "exists", lambda path: False)
    ensure_keys(tmp_path)
    assert {path.name: path.read_bytes() for path in first.folder.iterdir()} == before


def test_missing_public_key_is_derived_again(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    keys.verifying.unlink()
    assert ensure_keys(tmp_path).verifying.read_bytes() == public_half(keys)


def test_missing_secret_names_file_and_hint(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="homeostat up") as refusal:
        Keys(tmp_path).prediction_id_secret()
    assert str(tmp_path / "prediction_id.key") in refusal.value.message


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_truncated_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty key would turn the checksum into one that anybody can compute."""
    (tmp_path / "prediction_id.key").write_bytes(content)
    with pytest.raises(OperatorError, match=f"has {len(content)} bytes, expected 32"):
        Keys(tmp_path).prediction_id_secret()


def test_missing_secrets_are_added_to_an_installation(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    before = keys.verdicts.read_bytes(), keys.signing.read_bytes()
    keys.prediction_log.unlink()
    ensure_keys(tmp_path)
    assert len(record_secrets(keys.prediction_log)) == 1
    assert (keys.verdicts.read_bytes(), keys.signing.read_bytes()) == before


def test_server_needs_only_public_key_and_secret(tmp_path: Path) -> None:
    """Such as a container that is given these two in a folder it cannot write: nothing is made beside them."""
    made = ensure_keys(tmp_path / "installation")
    folder = tmp_path / "server" / "keys"
    folder.mkdir(parents=True)
    for path in (made.verifying, made.prediction_id):
        (folder / path.name).write_bytes(path.read_bytes())
    given = ensure_keys(tmp_path / "server")
    assert given.prediction_id_secret() == made.prediction_id_secret()
    assert sorted(path.name for path in folder.iterdir()) == ["prediction_id.key", "signing.pub"]


def test_mounted_keys_of_a_service_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ensure_keys(tmp_path)
    for path in (keys.prediction_log, keys.pseudonyms):
        path.unlink()
    monkeypatch.setattr(
        "os.access", lambda path, mode: False
    )  # as root, which these tests may be, all is writable
    assert ensure_keys(tmp_path) == keys
    assert {path.name for path in keys.folder.iterdir()} == ALL - {"prediction_log.key", "pseudonyms.key"}
