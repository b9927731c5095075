"""Whether the stack can listen where the settings say, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from local_stack.certificates import require_name
from shared.errors import OperatorError
from shared.tls.settings import TlsSettings

_EVERYWHERE = ("0.0.0.0", "::", "")
SERVICES = ("INFERENCE", "SHIPPER", "DRIFT", "RETRAINING", "SINK", "CONSOLE")


def check_host(host: str) -> None:
    """Raises OperatorError for an address that clients cannot be given, and for one that the certificate is not for."""
    if host in _EVERYWHERE:
        raise OperatorError(
            f"HOMEOSTAT_HOST is {host or 'empty'}: the stack needs one address, which the broker gives to its clients",
            hint="set HOMEOSTAT_HOST to an address of this machine, such as 127.0.0.1",
        )
    certificate = TlsSettings().certificate
    if certificate is not None:
        require_name(Path(certificate), host)


def ignored_hosts(host: str, environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each host of a service that has no effect: the stack listens on one address."""
    for service in SERVICES:
        given = environment.get(f"HOMEOSTAT_{service}_HOST", "")
        if given and given != host:
            yield f"HOMEOSTAT_{service}_HOST={given} has no effect here: the whole stack listens on HOMEOSTAT_HOST ({host})"
