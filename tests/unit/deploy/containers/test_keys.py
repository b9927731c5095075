from __future__ import annotations

from pathlib import Path

import pytest

from deploy.containers.keys import copy_for_servers
from shared.errors import HomeostatError
from shared.models.signed_versions.installation_keys import ensure_keys


def test_servers_get_what_they_need_and_never_the_signing_key(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    for _ in range(2):
        copy_for_servers(keys, tmp_path / "server-keys")
    found = {path.name: path.read_bytes() for path in (tmp_path / "server-keys").iterdir()}
    assert found == {path.name: path.read_bytes() for path in (keys.verifying, keys.prediction_id)}


def test_keys_of_another_installation_are_never_overwritten(tmp_path: Path) -> None:
    copy_for_servers(ensure_keys(tmp_path / "one"), tmp_path / "server-keys")
    with pytest.raises(HomeostatError, match="differs from"):
        copy_for_servers(ensure_keys(tmp_path / "two"), tmp_path / "server-keys")
