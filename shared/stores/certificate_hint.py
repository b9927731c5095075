"""What to do where the certificate of an object store is not accepted: obstore and deltalake read the same variable."""

from __future__ import annotations


def certificate_hint(problem: str) -> str:
    """The hint for an error of an object store's client; empty if certificates are not the problem."""
    if "certificate" not in problem.lower():
        return ""
    return "set SSL_CERT_FILE to a PEM file with the CA of the object store and all others that the service needs"
