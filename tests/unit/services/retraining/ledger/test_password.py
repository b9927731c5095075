"""The database password is read from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.retraining.ledger.password import with_password
from shared.errors import OperatorError

URL = "postgresql://homeostat@postgres:5432/ledger"


def test_password_is_read_without_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("a/b c@d\n")
    assert with_password(URL, file) == f"postgresql://homeostat:{'a%2Fb c%40d'}@postgres:5432/ledger"


@pytest.mark.parametrize(
    "url",
    ["", "sqlite:///ledger.sqlite", "postgresql://postgres:5432/ledger", URL.replace("@", ":own" + "@")],
)
def test_url_that_needs_no_password_is_unchanged(url: str, tmp_path: Path) -> None:
    assert with_password(url, tmp_path / "is not read") == url


def test_without_a_file_the_url_is_unchanged() -> None:
    assert with_password(URL, None) == URL


def test_missing_or_empty_password_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be read: No such file"):
        with_password(URL, tmp_path / "missing")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(OperatorError, match="empty is empty"):
        with_password(URL, tmp_path / "empty")
