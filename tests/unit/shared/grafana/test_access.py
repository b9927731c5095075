"""URL and login of Grafana are checked before anything is sent, and no message holds a secret."""

from __future__ import annotations

import pytest

from shared.errors import OperatorError
from shared.grafana.access import GrafanaAccess, access_from
from shared.settings import HomeostatSettings

URL = "http://127.0.0.1:3000"


@pytest.mark.parametrize(
    "url", [URL, "https://grafana.example.org", "http://[::1]:3000/grafana/", "http://grafana/tools/grafana"]
)
def test_a_base_url_is_taken(url: str) -> None:
    assert GrafanaAccess(url, token="t").url == url


@pytest.mark.parametrize(
    "url",
    ["", "grafana:3000", "ftp://grafana", "http://", "http://a:99999", "http://a/?x=1", "http://a/#b", "http://a b", "http://a\n"],
)  # fmt: skip
def test_another_url_is_refused_by_its_setting(url: str) -> None:
    with pytest.raises(OperatorError, match="HOMEOSTAT_GRAFANA_URL"):
        GrafanaAccess(url, token="t")


def test_a_login_within_the_url_is_refused_and_not_shown() -> None:
    with pytest.raises(OperatorError) as error:
        GrafanaAccess("http://admin:" + "hunter2@grafana:3000", token="t")
    assert "hunter2" not in str(error.value)
    assert "HOMEOSTAT_GRAFANA_PASSWORD" in error.value.hint


@pytest.mark.parametrize(
    "url",
    ["admin:hunter2@grafana:3000", "http://grafana:3000/?auth_token=hunter2", "http://grafana/#hunter2"],
)
def test_a_secret_in_a_url_of_another_form_is_not_shown(url: str) -> None:
    with pytest.raises(OperatorError) as error:
        GrafanaAccess(url, token="t")
    assert "hunter2" not in f"{error.value} {error.value.hint}"


@pytest.mark.parametrize("token", ["two words", "tök", "line\nbreak", "tab\t"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(OperatorError, match="HOMEOSTAT_GRAFANA_TOKEN") as error:
        GrafanaAccess(URL, token=token)
    assert token not in str(error.value)


@pytest.mark.parametrize(("user", "password"), [("", ""), ("anna", ""), ("", "x")])
def test_half_a_login_is_none(user: str, password: str) -> None:
    with pytest.raises(OperatorError, match="no credentials") as error:
        GrafanaAccess(URL, user=user, password=password)
    assert "HOMEOSTAT_GRAFANA_TOKEN" in error.value.hint


def test_a_user_with_a_colon_would_be_another_user() -> None:
    with pytest.raises(OperatorError, match="HOMEOSTAT_GRAFANA_USER"):
        GrafanaAccess(URL, user="a:b", password="x")


def test_secrets_are_not_shown() -> None:
    access = GrafanaAccess(URL, token="glsa_secret", user="anna", password="hunter2")
    assert "glsa_secret" not in repr(access)
    assert "hunter2" not in repr(access)


def test_settings_do_not_show_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_GRAFANA_TOKEN", "glsa_secret")
    monkeypatch.setenv("HOMEOSTAT_GRAFANA_PASSWORD", "hunter2")
    settings = HomeostatSettings()
    assert "glsa_secret" not in repr(settings) + settings.model_dump_json()
    assert "hunter2" not in repr(settings) + settings.model_dump_json()


def test_without_a_url_the_setting_is_named() -> None:
    with pytest.raises(OperatorError) as error:
        access_from(HomeostatSettings())
    assert "HOMEOSTAT_GRAFANA_URL" in error.value.hint
