"""Shipper and sink with a broker that requires TLS and a login: rows wait on the spool until the settings are right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.certificates import CertificateFolder, create_certificates
from tests.fakes.log_processes import LogProcesses
from tests.fakes.secure_broker import PASSWORD, USER, SecureBroker


@pytest.fixture
def processes(
    tmp_path: Path, secure_broker: SecureBroker, files: CertificateFolder
) -> Iterator[LogProcesses]:
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    processes = LogProcesses(
        tmp_path / "home",
        secure_broker.secure.bootstrap,
        environment={
            "HOMEOSTAT_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "HOMEOSTAT_KAFKA_USERNAME": USER,
            "HOMEOSTAT_KAFKA_PASSWORD_FILE": str(password),
            "HOMEOSTAT_KAFKA_CA": str(files.ca),
        },
    )
    yield processes
    processes.close()


@pytest.mark.timeout(300)
def test_rows_wait_for_the_right_password_and_ca(
    processes: LogProcesses, files: CertificateFolder, tmp_path: Path
) -> None:
    processes.change(HOMEOSTAT_KAFKA_PASSWORD="wrong")
    processes.start("load", "shipper", "sink")
    for name in ("shipper", "sink"):
        processes.wait_for(
            lambda name=name: "refuses the login: " in processes.output(name),  # type: ignore[misc]
            f"{name} says why",
        )
    processes.stop("shipper", "sink")
    assert '"wrong"' not in processes.output("shipper") + processes.output("sink")

    processes.change(
        HOMEOSTAT_KAFKA_PASSWORD="", HOMEOSTAT_KAFKA_CA=str(create_certificates(tmp_path / "other").ca)
    )
    processes.start("shipper", "sink")
    for name in ("shipper", "sink"):
        processes.wait_for(
            lambda name=name: "its certificate is not accepted: " in processes.output(name),  # type: ignore[misc]
            f"{name} says why",
        )
    processes.stop("shipper", "sink")

    processes.stop("load")
    assert len(processes.listed("answered")) > 500
    processes.change(HOMEOSTAT_KAFKA_CA=str(files.ca))
    processes.start("shipper", "sink")
    processes.wait_until_settled()
    processes.stop()
    processes.check_conservation(kills_of_load=0)
