from __future__ import annotations

from pathlib import Path

import pytest

from deploy.containers.keys import copy_keys, key_folders
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
        "server-keys": {"signing.pub", "prediction_id.key"},
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
