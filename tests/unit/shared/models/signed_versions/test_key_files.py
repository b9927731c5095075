"""Files of secrets: the current one first; missing and malformed ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import OperatorError
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.models.signed_versions.key_files import record_secrets


def test_secrets_of_records_are_lines_with_the_current_one_first(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    assert record_secrets(keys.verdicts) != record_secrets(keys.prediction_log)
    keys.verdicts.write_text("ab" * 32 + "\n" + "cd" * 32 + "\n")
    assert record_secrets(keys.verdicts) == (b"\xab" * 32, b"\xcd" * 32)


@pytest.mark.parametrize("content", ["", "ab" * 31, "ab" * 33, "zz" * 32, "ab" * 32 + "\nshort"])
def test_malformed_secret_of_records_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "verdicts.key").write_text(content)
    with pytest.raises(OperatorError, match="malformed, expected lines of 64 hexadecimal digits"):
        record_secrets(tmp_path / "verdicts.key")


def test_missing_secret_of_records_names_file_and_hint(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="verdicts.key cannot be read") as refusal:
        record_secrets(tmp_path / "verdicts.key")
    assert "homeostat up" in refusal.value.hint
