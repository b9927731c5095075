from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_stack.certificates import CertificateFolder, create_certificates
from local_stack.ports import free_port
from tests.fakes.secure_broker import SecureBroker, open_secure_broker


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFolder:
    return create_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def secure_broker(
    tmp_path_factory: pytest.TempPathFactory, files: CertificateFolder
) -> Iterator[SecureBroker]:
    folder = tmp_path_factory.mktemp("secure-broker")
    broker = open_secure_broker(folder, files, [free_port() for _ in range(4)])
    try:
        yield broker
    finally:
        broker.stop()
