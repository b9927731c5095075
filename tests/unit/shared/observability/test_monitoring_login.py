from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import OperatorError
from shared.observability.monitoring_login import (
    MonitoringLogin,
    ensure_password,
    installation_login,
    login_for,
    password_path,
)
from shared.settings import HomeostatSettings


def test_password_is_made_once_and_for_its_user_only(tmp_path: Path) -> None:
    first = ensure_password(tmp_path)
    assert ensure_password(tmp_path) == first
    assert len(first) >= 43  # 256 bits
    assert password_path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert ensure_password(tmp_path / "other") != first


def test_header_is_that_of_basic_authentication() -> None:
    # The example of RFC 7617.
    login = MonitoringLogin("Aladdin", "open sesame")
    assert login.authorization == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert "open" not in repr(login)


def test_the_installations_password_is_for_its_own_servers(tmp_path: Path) -> None:
    settings = HomeostatSettings().model_copy(update={"home": tmp_path})
    assert login_for(settings, "") is None
    password = ensure_password(tmp_path)
    assert login_for(settings, "") == MonitoringLogin("homeostat", password) == installation_login(tmp_path)
    assert login_for(settings, "https://prometheus.example.org") is None


def test_an_empty_file_of_the_password_is_written_again(tmp_path: Path) -> None:
    """Else everybody could log in without one."""
    ensure_password(tmp_path)
    password_path(tmp_path).write_text("\n")
    assert len(ensure_password(tmp_path)) > 20


def test_a_login_of_the_settings_is_for_every_server(tmp_path: Path) -> None:
    ensure_password(tmp_path)
    file = tmp_path / "theirs"
    file.write_text("of the company\n")
    settings = HomeostatSettings().model_copy(
        update={"home": tmp_path, "monitoring_user": "reader", "monitoring_password_file": file}
    )
    for url in ("", "https://prometheus.example.org"):
        assert login_for(settings, url) == MonitoringLogin("reader", "of the company")
    file.unlink()
    with pytest.raises(OperatorError, match="theirs cannot be read") as raised:
        login_for(settings, "")
    assert "HOMEOSTAT_MONITORING_PASSWORD_FILE" in raised.value.hint
