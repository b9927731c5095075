from __future__ import annotations

from pathlib import Path

import pytest

from local_stack.certificates import CertificateFolder, create_certificates


@pytest.fixture
def files(tmp_path: Path) -> CertificateFolder:
    return create_certificates(tmp_path / "tls")
