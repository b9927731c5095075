"""Settings of the provider, and which services need PyJWT."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shared.access.authenticator import open_authenticator
from shared.access.oidc.settings import OidcSettings
from shared.access.oidc.token_verifier import OidcTokenVerifier
from shared.errors import OperatorError
from shared.settings import HomeostatSettings
from tests.waiting import bound


def test_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_OIDC_CLOCK_SKEW_SECONDS", "3600")
    with pytest.raises(OperatorError, match="HOMEOSTAT_OIDC_CLOCK_SKEW_SECONDS: Input should be less than"):
        OidcSettings.read()


def test_verifier_is_made_where_an_issuer_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shared = HomeostatSettings(home=tmp_path)
    assert open_authenticator(shared, "127.0.0.1").tokens is None
    assert open_authenticator(shared, "127.0.0.1", OidcSettings.read()).tokens is None
    monkeypatch.setenv("HOMEOSTAT_OIDC_ISSUER", "https://sso.example.org/realms/ml")
    with pytest.raises(OperatorError, match="HOMEOSTAT_OIDC_AUDIENCE is not set"):
        open_authenticator(shared, "127.0.0.1", OidcSettings.read())
    monkeypatch.setenv("HOMEOSTAT_OIDC_AUDIENCE", "homeostat")
    made = open_authenticator(shared, "127.0.0.1", OidcSettings.read()).tokens
    assert isinstance(made, OidcTokenVerifier)
    assert (made.provider.issuer, made.audience) == ("https://sso.example.org/realms/ml", "homeostat")
    # Shipper and sink accept API keys only, whatever the environment says.
    assert open_authenticator(shared, "127.0.0.1").tokens is None


def test_shipper_and_sink_do_not_load_pyjwt() -> None:
    code = "import sys, services.prediction_log.bootstrap; raise SystemExit('jwt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=bound(60), check=False).returncode == 0
