"""`homeostat keys`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.access.authenticator import Authenticator
from shared.access.caller import Unauthenticated
from shared.access.installation_keys import ensure_installation_keys, key_path
from shared.access.key_file import KeyFile
from shared.access.scope import Scope
from tests.unit.cli.command import run


def who(home: Path) -> Authenticator:
    return Authenticator(KeyFile(home / "keys" / "api_keys.json"), anonymous=False)


def test_key_is_created_and_shown_once(tmp_path: Path) -> None:
    home = str(tmp_path)
    made = run("keys", "create", "shop", "--scope", "predict", "--scope", "outcomes", "--home", home)
    assert made.exit_code == 0, made.output
    text = made.stdout.strip()
    caller = who(tmp_path).authenticate(f"Bearer {text}")
    assert (caller.name, caller.scopes) == ("shop", frozenset({Scope.PREDICT, Scope.OUTCOMES}))
    listed = run("keys", "list", "--home", home)
    assert "shop" in listed.stdout
    assert text[-43:] not in listed.stdout
    document = run("keys", "list", "--json", "--home", home).stdout
    assert [key["name"] for key in json.loads(document)["keys"]] == ["shop"]
    assert "sha256" not in document


def test_rotation_and_revocation(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path))
    first = run("keys", "create", "ann", "--scope", "approver", *home).stdout.strip()
    second = json.loads(run("keys", "rotate", "ann", "--grace", "1h", "--json", *home).stdout)["key"]
    for text in (first, second):
        assert who(tmp_path).authenticate(f"Bearer {text}").name == "ann"
    assert run("keys", "revoke", "ann", *home).exit_code == 0
    for text in (first, second):
        with pytest.raises(Unauthenticated):
            who(tmp_path).authenticate(f"Bearer {text}")
    assert "ann" not in run("keys", "list", *home).stdout
    assert "was revoked" in run("keys", "list", "--all", *home).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "a", "--scope", "root"], "neither a scope nor a role"),
        (["create", "a b", "--scope", "read"], "cannot be the name of a key"),
        (["create", "a", "--scope", "read", "--expires", "soon"], "--expires"),
        (["rotate", "nobody"], "no valid key nobody"),
        (["revoke", "nobody"], "no valid key nobody"),
    ],
)
def test_wrong_argument_is_named(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run("keys", *arguments, "--home", str(tmp_path))
    assert done.exit_code not in (0, 1)
    assert message in done.output
    assert "Traceback" not in done.output


def test_unknown_key_lists_the_valid_ones(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path))
    for name in ("shop", "ann", "old"):
        run("keys", "create", name, "--scope", "client", *home)
    run("keys", "revoke", "old", *home)
    assert "valid keys: ann, shop; `homeostat keys list --all`" in run("keys", "rotate", "shp", *home).stderr


def test_log_shows_who_changed_what(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path))
    assert "no key has been changed yet" in run("keys", "log", *home).stdout
    run("keys", "create", "ann", "--scope", "approver", *home)
    run("keys", "revoke", "ann", *home)
    shown = run("keys", "log", *home).stdout
    assert ["create" in shown, "revoke" in shown, "approve, read" in shown] == [True] * 3
    entries = json.loads(run("keys", "log", "--json", *home).stdout)["changes"]
    assert [(one["action"], one["name"]) for one in entries] == [("create", "ann"), ("revoke", "ann")]


def test_rotation_of_a_key_of_the_installation_replaces_its_file(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path))
    ensure_installation_keys(tmp_path, tmp_path / "keys" / "api_keys.json")
    file = key_path(tmp_path, "local")
    before = file.read_text()
    done = run("keys", "rotate", "local", "--grace", "0s", *home)
    assert file.read_text().strip() == done.stdout.strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert who(tmp_path).authenticate(f"Bearer {file.read_text().strip()}").name == "local"
    with pytest.raises(Unauthenticated):
        who(tmp_path).authenticate(f"Bearer {before.strip()}")


def test_rotation_leaves_a_file_with_another_key(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path))
    run("keys", "create", "local", "--scope", "read", *home)
    file = key_path(tmp_path, "local")
    file.write_text("hs_000000000000_" + "x" * 43)
    assert run("keys", "rotate", "local", *home).exit_code == 0
    assert file.read_text() == "hs_000000000000_" + "x" * 43
