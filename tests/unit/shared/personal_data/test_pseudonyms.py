from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import OperatorError
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.personal_data.pseudonyms import Pseudonyms, is_pseudonym

OLD, NEW = b"o" * 32, b"n" * 32


def test_pseudonym_depends_on_value_and_secret() -> None:
    names = Pseudonyms([OLD])
    assert names.of("anna") == Pseudonyms([OLD]).of("anna")
    assert len({names.of("anna"), names.of("Anna"), names.of(""), Pseudonyms([NEW]).of("anna")}) == 4
    assert is_pseudonym(names.of("anna"))


def test_pseudonym_is_its_own_pseudonym() -> None:
    names = Pseudonyms([OLD])
    assert names.of(names.of("anna")) == names.of("anna")
    assert not is_pseudonym("ps_anna")
    assert not is_pseudonym(names.of("anna") + "\n")


def test_rotated_secret_replaces_and_still_finds(tmp_path: Path) -> None:
    path = ensure_keys(tmp_path).pseudonyms
    before = Pseudonyms.read(path)
    path.write_text(f"{NEW.hex()}\n{path.read_text()}")
    after = Pseudonyms.read(path)
    assert after.of("anna") != before.of("anna")
    assert after.all_of("anna") == (after.of("anna"), before.of("anna"))
    assert after.all_of(before.of("anna")) == (before.of("anna"),)


def test_pseudonyms_need_a_secret(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="secret"):
        Pseudonyms([])
    with pytest.raises(OperatorError, match="cannot be read"):
        Pseudonyms.read(tmp_path / "pseudonyms.key")


def test_texts_with_surrogates_have_pseudonyms() -> None:
    assert is_pseudonym(Pseudonyms([OLD]).of("\ud800"))
