"""Reads the database password from a file, so that no environment variable contains it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import make_url

from shared.errors import OperatorError


def with_password(url: str, file: Path | None) -> str:
    """`url` with the password from `file`, if it has a user and no password. Raises OperatorError if unreadable."""
    if file is None or not url:
        return url
    parsed = make_url(url)
    if not parsed.username or parsed.password:
        return url
    try:
        password = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise OperatorError(
            f"the database's password in {file} cannot be read: {error.strerror}",
            hint="correct HOMEOSTAT_RETRAINING_PASSWORD_FILE, or the file's owner and mode",
        ) from error
    if not password:
        raise OperatorError(
            f"the database's password in {file} is empty",
            hint="write the password to the file; deploy/containers/secrets.sh creates one",
        )
    return parsed.set(password=password).render_as_string(hide_password=False)
