"""The database's password, kept in a file of its own: a container mounts it, and no variable holds it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import make_url

from shared.errors import OperatorError


def with_password(url: str, file: Path | None) -> str:
    """`url` with the password from `file`, where it names a user but no password. Raises OperatorError if unreadable."""
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
            hint="mend HOMEOSTAT_RETRAINING_PASSWORD_FILE, or the file's owner and mode",
        ) from error
    if not password:
        raise OperatorError(
            f"the database's password in {file} is empty",
            hint="write it there; deploy/containers/secrets.sh makes one",
        )
    return parsed.set(password=password).render_as_string(hide_password=False)
