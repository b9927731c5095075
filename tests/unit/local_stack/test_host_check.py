"""Where the stack may listen."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_stack.certificates import create_certificates
from local_stack.host_check import check_host, ignored_hosts
from shared.errors import OperatorError


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_address_that_clients_cannot_be_given_is_refused(host: str) -> None:
    with pytest.raises(OperatorError, match="the stack needs one address"):
        check_host(host)


def test_certificate_must_be_for_the_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_host("10.0.0.7")
    monkeypatch.setenv("HOMEOSTAT_TLS_CERTIFICATE", str(create_certificates(tmp_path).server))
    check_host("127.0.0.1")
    with pytest.raises(OperatorError, match="is not for 10.0.0.7"):
        check_host("10.0.0.7")


def test_host_of_one_service_has_no_effect() -> None:
    environment = {
        "HOMEOSTAT_INFERENCE_HOST": "10.0.0.7",
        "HOMEOSTAT_DRIFT_HOST": "127.0.0.1",
        "HOMEOSTAT_SINK_HOST": "",
    }
    [said] = ignored_hosts("127.0.0.1", environment)
    assert (
        said
        == "HOMEOSTAT_INFERENCE_HOST=10.0.0.7 has no effect here: the whole stack listens on HOMEOSTAT_HOST (127.0.0.1)"
    )
