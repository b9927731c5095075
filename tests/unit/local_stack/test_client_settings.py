"""The light settings of a command are those of the stack."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from local_stack.client_settings import ClientSettings
from local_stack.settings import LocalStackSettings
from shared.errors import OperatorError

VARIABLES = {
    "HOMEOSTAT_HOME": "/data",
    "HOMEOSTAT_HOST": "127.0.0.2",
    "HOMEOSTAT_DRIFT_PORT": "18002",
    "HOMEOSTAT_INFERENCE_URL": "http://a:1",
}


@pytest.mark.parametrize("environment", [{}, VARIABLES])
def test_settings_equal_those_of_the_stack(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for field in fields(ClientSettings):
        monkeypatch.delenv(f"HOMEOSTAT_{field.name.upper()}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stack, client = LocalStackSettings(), ClientSettings.read(environment)
    assert {f.name: getattr(client, f.name) for f in fields(client)} == {
        f.name: getattr(stack, f.name) for f in fields(client)
    }


def test_options_override_variables() -> None:
    found = ClientSettings.read(VARIABLES, home=Path("/other"), drift_url="http://b:2", inference_url="")
    assert (found.home, found.drift_url, found.inference_url) == (Path("/other"), "http://b:2", "http://a:1")


def test_wrong_port_is_one_sentence() -> None:
    with pytest.raises(OperatorError) as raised:
        ClientSettings.read({"HOMEOSTAT_DRIFT_PORT": "80x"})
    assert (
        raised.value.message
        == "HOMEOSTAT_DRIFT_PORT is '80x'; expected a port, a whole number from 1 to 65535"
    )
