"""A real broker whose listener for clients has TLS and requires a login: SCRAM or OAUTHBEARER."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_stack.certificates import CertificateFolder
from local_stack.kafka.broker import Broker
from local_stack.kafka.class_archive import ClassArchive
from local_stack.kafka.config_files import BrokerFiles, new_cluster_id, properties, write_files
from local_stack.kafka.jars import ensure_jars
from local_stack.kafka.java import find_java
from local_stack.settings import LocalStackSettings

USER, PASSWORD = "homeostat", "correct horse"
_LOGIN = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Listener:
    """The address of the encrypted listener."""

    host: str
    port: int

    @property
    def bootstrap(self) -> str:
        """For clients."""
        return f"{self.host}:{self.port}"


class SecureBroker(Broker):
    """A broker with a plain listener for itself, and encrypted ones: with a login, and with certificates of clients."""

    def __init__(
        self, files: BrokerFiles, certificates: CertificateFolder, port: int, mutual_port: int
    ) -> None:
        settings = LocalStackSettings()
        java = find_java(settings.java_home)
        jars = ensure_jars(settings.kafka_jars)
        super().__init__(files, jars, java, ClassArchive(settings.kafka_jars, java.program, jars))
        self.secure = Listener(files.host, port)
        self.mutual = Listener(files.host, mutual_port)
        self._certificates = certificates

    def prepare(self) -> None:
        """Write its files, and make the user with the storage."""
        write_files(self.files)
        text = properties(self.files)
        plain = f"PLAINTEXT://{self.files.host}:{self.files.port}"
        both = f"{plain},SASL_SSL://{self.secure.bootstrap},SSL://{self.mutual.bootstrap}"
        text = text.replace(f"listeners={plain},", f"listeners={both},")
        text = text.replace(f"advertised.listeners={plain}\n", f"advertised.listeners={both}\n")
        text = text.replace("PLAINTEXT:PLAINTEXT\n", "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL\n")
        self.files.properties_file.write_text("\n".join([text, *self._lines(), ""]))
        if not self.files.is_formatted:
            tool = ("kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", new_cluster_id())
            user = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
            done = subprocess.run(
                [*self._program(), *tool, "-c", str(self.files.properties_file), "--add-scram", user],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr

    def _lines(self) -> list[str]:
        keys = self.files.folder / "keystore.pem"
        keys.write_text(self._certificates.server_key.read_text() + self._certificates.server.read_text())
        return [
            "inter.broker.listener.name=PLAINTEXT",
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={keys}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={self._certificates.ca}",
            "sasl.enabled.mechanisms=SCRAM-SHA-512,OAUTHBEARER",
            f"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={_LOGIN}.scram.ScramLoginModule required;",
            f"listener.name.sasl_ssl.oauthbearer.sasl.jaas.config={_LOGIN}.oauthbearer.OAuthBearerLoginModule required "
            'unsecuredLoginStringClaim_sub="broker";',
            "connections.max.reauth.ms=10000",
            "listener.name.ssl.ssl.client.auth=required",
        ]


def open_secure_broker(folder: Path, certificates: CertificateFolder, ports: Sequence[int]) -> SecureBroker:
    """A started broker with Homeostat's topics. `ports`: plain, controller, with a login, with client certificates."""
    files = BrokerFiles(folder, port=ports[0], controller_port=ports[1])
    broker = SecureBroker(files, certificates, ports[2], ports[3])
    broker.start()
    broker.create_topics()
    return broker
