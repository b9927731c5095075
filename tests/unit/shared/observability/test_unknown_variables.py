"""Variables that look like settings and are none."""

from __future__ import annotations

import pytest

from shared.observability.unknown_variables import REMOVED, unknown_variables


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "HOMEOSTAT_INFERENCE_PROT",
            "HOMEOSTAT_INFERENCE_PROT is not a setting; did you mean HOMEOSTAT_INFERENCE_PORT?",
        ),
        ("homeostat_hoem", "homeostat_hoem is not a setting; did you mean HOMEOSTAT_HOME?"),
        ("HOMEOSTAT_X", "HOMEOSTAT_X is not a setting"),
        ("HOMEOSTAT_CONSOLE_ACTOR_HEADER", "people log in to the console"),
    ],
)
def test_unknown_variable_is_named(name: str, said: str) -> None:
    [problem] = unknown_variables({name: "", "PATH": "/bin", "HOMEOSTAT_HOME": "x"})
    assert said in problem
    assert problem.startswith(name)


@pytest.mark.parametrize(
    "name",
    [
        "HOMEOSTAT_DRIFT_PORT",
        "homeostat_home",
        "HOMEOSTAT_API_KEY_FILE",
        "HOMEOSTAT_KAFKA_PASSWORD",
        "HOMEOSTAT_TLS_CA",
        "HOMEOSTAT_TEST_PATIENCE",
        "HOMEOSTAT_SERVICE_HOST",
        "HOMEOSTAT_INFERENCE_SERVICE_PORT_HTTP",
        "HOMEOSTAT_INFERENCE_PORT_8000_TCP_ADDR",
        "XHOMEOSTAT_Y",
        "_HOMEOSTAT_COMPLETE",
    ],
)
def test_settings_of_all_services_are_known(name: str) -> None:
    """The services of an installation may share one file of variables."""
    assert unknown_variables({name: "1"}) == []


def test_removed_settings_are_no_settings() -> None:
    assert all("did you mean" not in problem for problem in unknown_variables(dict.fromkeys(REMOVED, "")))
    assert len(unknown_variables(dict.fromkeys(REMOVED, ""))) == len(REMOVED)
