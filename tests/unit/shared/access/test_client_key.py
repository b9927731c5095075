"""Which key a client sends where."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from shared.access.client_key import find_client_key
from shared.access.installation_keys import ensure_installation_keys, key_path, read_key_text
from shared.errors import OperatorError

HERE, ELSEWHERE = "http://127.0.0.1:8003", "https://homeostat.example"


def test_local_key_never_leaves_this_machine(tmp_path: Path) -> None:
    ensure_installation_keys(tmp_path, tmp_path / "keys" / "api_keys.json")
    key = find_client_key(tmp_path, {})
    text = read_key_text(key_path(tmp_path, "local"))
    assert key.for_url(HERE) == key.for_url("http://localhost:1") == key.for_url("http://[::1]:1") == text
    assert key.headers(HERE) == {"Authorization": f"Bearer {text}"}
    assert key.for_url(ELSEWHERE) == key.for_url("http://10.0.0.1") == key.for_url("nonsense") == ""
    assert key.headers(ELSEWHERE) == {}


def test_given_key_goes_everywhere(tmp_path: Path) -> None:
    ensure_installation_keys(tmp_path, tmp_path / "keys" / "api_keys.json")
    file = tmp_path / "mine"
    file.write_text("from-file\n")
    both = {"HOMEOSTAT_API_KEY": "given", "HOMEOSTAT_API_KEY_FILE": str(file)}
    assert find_client_key(tmp_path, both).for_url(ELSEWHERE) == "given"
    from_file = find_client_key(tmp_path, {"HOMEOSTAT_API_KEY_FILE": str(file)})
    assert from_file.for_url(ELSEWHERE) == from_file.for_url(HERE) == "from-file"


def test_without_any_key(tmp_path: Path) -> None:
    assert find_client_key(tmp_path, {"HOMEOSTAT_API_KEY": " "}).for_url(HERE) == ""


def test_empty_file_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(OperatorError, match="is empty"):
        find_client_key(tmp_path, {"HOMEOSTAT_API_KEY_FILE": str(tmp_path / "empty")})


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="nowhere"):
        find_client_key(tmp_path, {"HOMEOSTAT_API_KEY_FILE": str(tmp_path / "nowhere")})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_local_key_is_not_sent_to_another_user(tmp_path: Path) -> None:
    """Any user may take the port of a stopped service."""
    ensure_installation_keys(tmp_path, tmp_path / "keys" / "api_keys.json")
    key = find_client_key(tmp_path, {})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert key.for_url(url)
        os.chown(key_path(tmp_path, "local"), 12345, -1)
        with pytest.raises(OperatorError, match="served by another user"):
            key.for_url(url)
    assert key.for_url(url)  # nobody listens any more, so nobody gets it
