"""A certificate authority (CA) of one's own and certificates of it, to try encrypted connections without a public CA.

1. The CA is made once and kept: clients that trust it trust every certificate made later.
2. Certificates are made again by each call, so a call before they expire renews them; services read the new files by themselves.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from shared.errors import OperatorError
from shared.files import create_atomic, write_atomic

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
CA_DAYS, DAYS = 3650, 365
_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class CertificateFolder:
    """The files in a folder of certificates."""

    folder: Path

    @property
    def ca(self) -> Path:
        """Certificate of the CA, for clients."""
        return self.folder / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """Private key of the CA: makes certificates that clients trust."""
        return self.folder / "ca.key"

    @property
    def server(self) -> Path:
        """Certificate of the listeners."""
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        """Its private key."""
        return self.folder / "server.key"

    @property
    def client(self) -> Path:
        """Certificate of clients."""
        return self.folder / "client.pem"

    @property
    def client_key(self) -> Path:
        """Its private key."""
        return self.folder / "client.key"

    @property
    def settings(self) -> Path:
        """The settings that name these files, for a shell."""
        return self.folder / "settings.env"


def create_certificates(
    folder: Path, names: Sequence[str] = (), *, days: int = DAYS, now: datetime | None = None
) -> CertificateFolder:
    """Make the CA and the file of settings if there are none, and new certificates for listeners and clients.

    `names`: host names and IP addresses beside those of this machine and of the last certificate. Raises OperatorError.
    """
    made, moment = CertificateFolder(folder.absolute()), now or datetime.now(UTC)
    try:
        made.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not made.ca_key.exists():
            _make_ca(made, moment)
        listeners = dict.fromkeys([*THIS_MACHINE, *_names_if_any(made.server), *names])
        _make(made, made.server, made.server_key, list(listeners), days, moment)
        _make(made, made.client, made.client_key, ["homeostat-client"], days, moment)
        create_atomic(made.settings, settings_text(made).encode(), mode=0o600)  # it may have been edited
    except OSError as error:
        raise OperatorError(
            f"the certificates cannot be written to {made.folder}: {error.strerror}",
            hint="name a folder that you may write to",
        ) from error
    return made


def certificate_names(path: Path) -> list[str]:
    """Host names and IP addresses of a certificate. Raises OSError, and ValueError for a file that is none."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(path.read_bytes()).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return []
    addresses = found.value.get_values_for_type(x509.IPAddress)
    return [*found.value.get_values_for_type(x509.DNSName), *map(str, addresses)]


def require_name(certificate: Path, host: str) -> None:
    """Raises OperatorError if clients would not accept a certificate for `host`.

    A file that cannot be read is left to the services, which name it.
    """
    try:
        names = certificate_names(certificate)
    except (OSError, ValueError):
        return
    wildcard = f"*.{host.partition('.')[2]}"
    if not {host.lower(), wildcard.lower()} & {name.lower() for name in names}:
        raise OperatorError(
            f"the certificate {certificate} is not for {host}, where the stack listens, but for {', '.join(names) or 'no name'}",
            hint=f"`homeostat certificates create --name {host}` adds the name to a certificate of your own CA",
        )


def _names_if_any(path: Path) -> list[str]:
    try:
        return certificate_names(path)
    except (OSError, ValueError):  # a broken file is replaced
        return []


def settings_text(made: CertificateFolder) -> str:
    """Lines for `set -a; . settings.env; set +a`."""
    lines = {
        "HOMEOSTAT_TLS_CERTIFICATE": made.server,
        "HOMEOSTAT_TLS_KEY": made.server_key,
        "HOMEOSTAT_TLS_CA": made.ca,
        "HOMEOSTAT_TLS_CLIENT_CERTIFICATE": made.client,
        "HOMEOSTAT_TLS_CLIENT_KEY": made.client_key,
    }
    set_lines = "".join(f"{name}={quote(str(path))}\n" for name, path in lines.items())
    return (
        f"{set_lines}# Mutual TLS: listeners accept only clients with a certificate of this CA.\n"
        f"# HOMEOSTAT_TLS_CLIENT_CA={quote(str(made.ca))}\n"
    )


def _make_ca(made: CertificateFolder, now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Homeostat local CA {os.urandom(4).hex()}")
    builder = (
        _builder(name, name, key, CA_DAYS, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
    )
    _write(made.ca, made.ca_key, builder, key, key)


def _make(
    made: CertificateFolder, target: Path, target_key: Path, names: Sequence[str], days: int, now: datetime
) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    ca = x509.load_pem_x509_certificate(made.ca.read_bytes())
    ca_key = serialization.load_pem_private_key(made.ca_key.read_bytes(), password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_name(names[0]), ca.subject, key, days, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )
    _write(target, target_key, builder, key, ca_key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, days: int, now: datetime
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _write(
    certificate: Path,
    key_path: Path,
    builder: x509.CertificateBuilder,
    key: EllipticCurvePrivateKey,
    signing: EllipticCurvePrivateKey,
) -> None:
    from cryptography.hazmat.primitives import hashes, serialization

    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signed = builder.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    write_atomic(key_path, private, mode=0o600)
    write_atomic(certificate, signed, mode=0o644)


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _alternative(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
