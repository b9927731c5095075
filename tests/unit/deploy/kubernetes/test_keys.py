from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.containers.keys import API_KEYS
from deploy.kubernetes.keys import completed, ensure_secret, main
from deploy.kubernetes.secret_api import Secret, SecretApi
from shared.access.api_key import KEY_TEXT, digest_of, make_key
from shared.access.key_file import KeyFile
from shared.access.scope import Scope
from shared.errors import Conflict
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from tests.fakes.rows import NOON


class MemoryApi(SecretApi):
    """Secrets in memory. `raced`: somebody else writes between a read and a write."""

    def __init__(self) -> None:
        self.secrets: dict[str, Secret] = {}
        self.writes = 0
        self.raced = False

    def read(self, name: str) -> Secret | None:
        return self.secrets.get(name)

    def create(self, name: str, entries: Mapping[str, bytes]) -> None:
        self._write(name, entries)

    def replace(self, name: str, entries: Mapping[str, bytes], version: str) -> None:
        assert version == self.secrets[name].version
        self._write(name, entries)

    def _write(self, name: str, entries: Mapping[str, bytes]) -> None:
        if self.raced:
            raise Conflict("changed")
        self.writes += 1
        self.secrets[name] = Secret(dict(entries), str(self.writes))


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


def test_secret_holds_all_keys_and_their_digests(api: MemoryApi, tmp_path: Path) -> None:
    assert ensure_secret(api, "keys")
    entries = api.secrets["keys"].entries
    own = {path.name for path in (ensure_keys(tmp_path).folder).iterdir()}
    assert set(entries) == own | {f"{name}_key" for name in API_KEYS} | {"api_keys.json"}
    accepted = {key["name"]: key for key in json.loads(entries["api_keys.json"])["keys"]}
    for name, scopes in API_KEYS.items():
        # Prometheus Operator sends the entry as it is: a line end would be part of the header.
        found = KEY_TEXT.fullmatch(entries[f"{name}_key"].decode())
        assert found is not None
        assert accepted[name]["sha256"] == digest_of(found[2])
        assert accepted[name]["scopes"] == sorted(scopes)


def test_second_run_changes_nothing(api: MemoryApi) -> None:
    ensure_secret(api, "keys")
    first = api.secrets["keys"]
    assert not ensure_secret(api, "keys")
    assert (api.secrets["keys"], api.writes) == (first, 1)


def test_missing_entry_is_added_and_others_stay(api: MemoryApi, tmp_path: Path) -> None:
    ensure_secret(api, "keys")
    first = dict(api.secrets["keys"].entries)
    lost = {name: content for name, content in first.items() if name != "pseudonyms.key"}
    api.secrets["keys"] = Secret(lost, "1")
    assert ensure_secret(api, "keys")
    now = api.secrets["keys"].entries
    assert {name: now[name] for name in lost} == lost
    assert now["pseudonyms.key"] != first["pseudonyms.key"]


def test_api_keys_of_other_programs_stay(api: MemoryApi, tmp_path: Path) -> None:
    ensure_secret(api, "keys")
    entries = dict(api.secrets["keys"].entries)
    file = KeyFile(tmp_path / "api_keys.json")
    file.path.write_bytes(entries["api_keys.json"])
    with file.changing() as keys:
        added, _ = make_key("ml-app", frozenset({Scope.PREDICT}), NOON)
        keys[added.key_id] = added
    entries["api_keys.json"] = file.path.read_bytes()
    del entries["console_key"]
    api.secrets["keys"] = Secret(entries, "1")
    ensure_secret(api, "keys")
    stored = json.loads(api.secrets["keys"].entries["api_keys.json"])["keys"]
    assert [key["revoked_at"] for key in stored if key["name"] == "ml-app"] == [None]
    # The lost key of the console is replaced: the old one is no longer accepted.
    assert [key["revoked_at"] is None for key in stored if key["name"] == "console"] == [False, True]


def test_race_with_another_job_overwrites_nothing(api: MemoryApi) -> None:
    api.raced = True
    with pytest.raises(Conflict):
        ensure_secret(api, "keys")
    assert api.secrets == {}


def test_keys_without_signing_key_are_left_alone(tmp_path: Path) -> None:
    """A Secret of a cluster that only serves: made from copies of another installation's public keys."""
    made = ensure_keys(tmp_path / "other")
    given = {path.name: path.read_bytes() for path in (made.verifying, made.prediction_id, made.pseudonyms)}
    found = completed(given, tmp_path / "home")
    assert {name: found[name] for name in given} == given
    assert Keys(Path()).signing.name not in found


def test_outside_of_a_cluster_the_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys"]) == 1
    assert capsys.readouterr().err.startswith(
        "error: /var/run/secrets/kubernetes.io/serviceaccount/token cannot"
    )
    assert main([]) == 2
