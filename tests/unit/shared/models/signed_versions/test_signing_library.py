from __future__ import annotations

import subprocess
import sys

from tests.waiting import bound

IMPORTED = """
import sys
from shared.models.signed_versions.signing_library import prepare_signing_library
prepare_signing_library()
from model_signing import hashing, signing, verifying
verifying.Config().use_elliptic_key_verifier
print(sorted({name.partition(".")[0] for name in sys.modules} & {"sigstore", "tuf", "OpenSSL", "requests", "model_signing"}))
print(signing.sigstore.Signer.__name__)
print("sigstore" in sys.modules)
"""


def test_the_client_of_sigstore_is_imported_when_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, timeout=bound(60), check=True
    )
    assert done.stdout.splitlines() == ["['model_signing']", "Signer", "True"]
