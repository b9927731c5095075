from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deploy.containers.keys import copy_keys, key_folders, write_monitoring
from shared.errors import HomeostatError
from shared.models.signed_versions.installation_keys import ensure_keys


def copied(home: Path) -> dict[str, set[str]]:
    for folder, paths in key_folders(home, ensure_keys(home)).items():
        copy_keys(paths, folder)
        for path in paths:
            assert (folder / path.name).read_bytes() == path.read_bytes()
    return {folder.name: {path.name for path in folder.iterdir()} for folder in home.glob("*-keys")}


def test_services_get_what_they_need_and_never_the_signing_key(tmp_path: Path) -> None:
    assert copied(tmp_path) == copied(tmp_path)
    assert copied(tmp_path) == {
        "server-keys": {"signing.pub", "prediction_id.key", "pseudonyms.key"},
        "log-keys": {"prediction_log.key"},
        "drift-keys": {"signing.pub", "verdicts.key", "prediction_log.key"},
    }


def test_keys_of_another_installation_are_never_overwritten(tmp_path: Path) -> None:
    one, two = ensure_keys(tmp_path / "one"), ensure_keys(tmp_path / "two")
    copy_keys([one.verifying], tmp_path / "copies")
    with pytest.raises(HomeostatError, match="differs from"):
        copy_keys([two.verifying], tmp_path / "copies")


def test_new_secret_above_the_old_one_is_copied(tmp_path: Path) -> None:
    copied(tmp_path)
    path = ensure_keys(tmp_path).verdicts
    path.write_text("ab" * 32 + "\n" + path.read_text())
    copied(tmp_path)
    path.write_text("cd" * 32 + "\n")
    with pytest.raises(HomeostatError, match="differs from"):
        copied(tmp_path)


def test_monitoring_gets_the_hash_of_its_password_and_nothing_secret(tmp_path: Path) -> None:
    (tmp_path / "monitoring_password").write_text("of-the-composition")
    folder = tmp_path / "monitoring"
    folder.mkdir(mode=0o750)  # as in the image
    for _ in range(2):
        write_monitoring(folder, tmp_path)
    files = {path.name: yaml.safe_load(path.read_text()) for path in folder.iterdir()}
    assert set(files) == {"web.yml", "web.tls.yml", "client.yml", "client.tls.yml"}
    assert not [path for path in folder.iterdir() if "of-the-composition" in path.read_text()]
    assert files["web.tls.yml"]["tls_server_config"]["key_file"] == "/run/tls/server.key"
    assert files["client.yml"]["basic_auth"]["password_file"] == "/run/secrets/monitoring_password"
    assert files["client.tls.yml"]["tls_config"] == {"ca_file": "/run/tls/ca.pem"}
    # Both run as a user that is not the one of this container.
    assert folder.stat().st_mode & 0o005 == 0o005
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_equal_keys_are_left_alone(tmp_path: Path) -> None:
    """`keys` runs again with every `docker compose run`: a service that is just reading a key keeps its file."""
    keys = ensure_keys(tmp_path / "one")
    copy_keys([keys.prediction_log], tmp_path / "copies")
    before = (tmp_path / "copies" / keys.prediction_log.name).stat().st_ino
    copy_keys([keys.prediction_log], tmp_path / "copies")
    assert (tmp_path / "copies" / keys.prediction_log.name).stat().st_ino == before
