"""Checks of PEM files before they are loaded: OpenSSL's own messages name neither the file nor the setting."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from shared.errors import OperatorError

OTHERS = 0o007  # group access is how Kubernetes gives a secret to a container


@dataclass(frozen=True)
class PemFile:
    """A file, and the `setting` that names it."""

    path: Path
    setting: str

    def read(self) -> str:
        """Its text. Raises OperatorError."""
        try:
            return self.path.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise OperatorError(
                f"{self.setting}: {self.path} cannot be read: {error.strerror}",
                hint=f"set {self.setting} to a PEM file that this process can read",
            ) from error

    def signature(self) -> tuple[int, ...]:
        """Changes when the file is changed or replaced; empty while there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return ()
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key."""

    certificate: PemFile
    key: PemFile

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let `context` use it. Raises OperatorError."""
        require(self.certificate, "CERTIFICATE")
        text = self.key.read()
        mode = self.key.path.stat().st_mode
        if mode & OTHERS:
            raise OperatorError(
                f"{self.key.setting}: every user of this machine has access to {self.key.path} (mode {mode & 0o777:04o})",
                hint=f"chmod 600 {self.key.path}",
            )
        require(self.key, "PRIVATE KEY")
        if "ENCRYPTED" in text:
            raise OperatorError(
                f"{self.key.setting}: {self.key.path} has a passphrase",
                hint=f"write it without one: openssl pkey -in {self.key.path} -out NEW, then chmod 600 NEW",
            )
        try:
            context.load_cert_chain(self.certificate.path, self.key.path)
        except (OSError, ssl.SSLError) as error:
            mismatch = getattr(error, "reason", "") == "KEY_VALUES_MISMATCH"
            raise OperatorError(
                f"{self.key.setting}: {self.key.path} is not the key of the certificate {self.certificate.path}"
                if mismatch
                else f"{self.certificate.setting}: {self.certificate.path} with the key {self.key.path} cannot be loaded: "
                f"{error.strerror or error}",
                hint=f"set {self.certificate.setting} and {self.key.setting} to files of one pair",
            ) from error


def key_pair(certificate: Path | None, key: Path | None, *, settings: tuple[str, str]) -> KeyPair | None:
    """The pair that two settings name; None if neither does. Raises OperatorError if only one does."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, missing = settings if key is None else settings[::-1]
        raise OperatorError(f"{given} is set, and {missing} is not", hint=f"set {missing}, or unset {given}")
    return KeyPair(PemFile(certificate, settings[0]), PemFile(key, settings[1]))


def load_ca(context: ssl.SSLContext, ca: PemFile) -> None:
    """Let `context` trust the CA certificates of a file. Raises OperatorError."""
    require(ca, "CERTIFICATE")
    try:
        context.load_verify_locations(ca.path)
    except (OSError, ssl.SSLError) as error:
        raise OperatorError(
            f"{ca.setting}: {ca.path} cannot be loaded: {error.strerror or error}",
            hint=f"set {ca.setting} to a PEM file of CA certificates",
        ) from error


def require(file: PemFile, block: str) -> None:
    """Raises OperatorError unless the file has a PEM block of this kind."""
    if f"{block}-----" not in file.read():
        raise OperatorError(
            f"{file.setting}: {file.path} has no PEM block {block}",
            hint=f"set {file.setting} to a PEM file; `openssl x509 -inform der` and `openssl pkey -inform der` convert others",
        )


def expiry(certificate: Path) -> float:
    """When the first certificate of a PEM file expires, in seconds since 1970. Raises OSError, ValueError."""
    # Python's own test helper. The public ways need a handshake, or a package that shipper and sink do not have.
    decoded = ssl._ssl._test_decode_cert(str(certificate))  # type: ignore[attr-defined]
    return float(ssl.cert_time_to_seconds(decoded["notAfter"]))
