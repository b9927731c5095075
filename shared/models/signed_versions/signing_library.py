"""The OpenSSF library of model signatures, imported without its client of Sigstore.

Versions are signed with keys of the installation. What the library imports to sign with an identity of Sigstore, or with a
certificate, takes two thirds of the CPU time of its import: those two modules wait until somebody uses them.
"""

from __future__ import annotations

from shared.deferred_package import defer_package

_UNUSED = ("model_signing._signing.sign_sigstore", "model_signing._signing.sign_certificate")


def prepare_signing_library() -> None:
    """Call this before `model_signing` is imported. Nothing changes if it is already."""
    # First the package itself: looking for a module in it would import all of them.
    for name in ("model_signing", *_UNUSED):
        defer_package(name)
