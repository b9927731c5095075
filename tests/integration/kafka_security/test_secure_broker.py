"""Producer, consumer and admin client against a broker with SASL_SSL."""

from __future__ import annotations

import base64
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from local_stack.certificates import CertificateFolder, create_certificates
from local_stack.kafka.admin import topic_copies
from shared.contracts import topics
from shared.errors import DependencyUnavailable
from shared.messaging.consumer import open_consumer
from shared.messaging.producer import open_producer
from shared.messaging.security.kafka_security import KafkaSecurity, kafka_security
from shared.messaging.security.settings import KafkaSettings
from tests.fakes.secure_broker import PASSWORD, USER, SecureBroker
from tests.waiting import bound, eventually


def scram(files: CertificateFolder, **changed: Any) -> KafkaSecurity:
    settings: dict[str, Any] = {
        "security_protocol": "SASL_SSL",
        "username": USER,
        "password": PASSWORD,
        "ca": files.ca,
    } | changed
    return kafka_security(KafkaSettings(**settings))


def travels(bootstrap: str, security: KafkaSecurity, value: bytes) -> bool:
    """Whether a record arrives that is sent and read with these options."""
    producer = open_producer(bootstrap, "test", security=security)
    consumer = open_consumer(bootstrap, [topics.VERDICTS.name], f"g{uuid4().hex}", "test", security=security)
    try:
        eventually(lambda: sent(producer, value), "the record is sent", every_s=0.2)
        return eventually(
            lambda: value in [message.value for message in consumer.poll(1.0)], "the record is read"
        )
    finally:
        producer.close()
        consumer.close()


def sent(producer: Any, value: bytes) -> bool:
    try:
        producer.send(topics.VERDICTS.name, None, value, []).result(bound(10))
    except DependencyUnavailable:
        return False
    return True


def refusal(broker: SecureBroker, security: KafkaSecurity) -> DependencyUnavailable:
    producer = open_producer(broker.secure.bootstrap, "test", security=security)
    try:
        with pytest.raises(DependencyUnavailable) as error:
            producer.send(topics.VERDICTS.name, None, b"x", [])
        return error.value
    finally:
        producer.close()


def test_record_travels_with_scram_over_tls(secure_broker: SecureBroker, files: CertificateFolder) -> None:
    security = scram(files)
    assert travels(secure_broker.secure.bootstrap, security, uuid4().bytes)
    assert topic_copies(secure_broker.secure.bootstrap, security=security) == {
        topic.name: 1 for topic in topics.ALL
    }


def test_record_travels_with_a_client_certificate(
    secure_broker: SecureBroker, files: CertificateFolder
) -> None:
    bootstrap = secure_broker.mutual.bootstrap
    settings: dict[str, Any] = {"security_protocol": "SSL", "ca": files.ca}
    pair = {"certificate": files.client, "key": files.client_key}
    assert travels(bootstrap, kafka_security(KafkaSettings(**settings | pair)), uuid4().bytes)
    with pytest.raises(DependencyUnavailable, match="the TLS handshake failed: .*certificate") as error:
        topic_copies(bootstrap, security=kafka_security(KafkaSettings(**settings)))
    assert "HOMEOSTAT_KAFKA_CERTIFICATE" in error.value.hint


def test_session_outlives_its_reauthentication(secure_broker: SecureBroker, files: CertificateFolder) -> None:
    """The broker ends sessions after 10 s that have not logged in again (KIP-368)."""
    producer = open_producer(secure_broker.secure.bootstrap, "test", security=scram(files))
    try:
        eventually(lambda: sent(producer, b"first"), "the record is sent")
        client, end = producer._connection.client, time.monotonic() + 14
        while time.monotonic() < end:
            assert sent(producer, b"again")
            time.sleep(0.5)
        assert producer._connection.client is client, "one connection served all of it"
    finally:
        producer.close()


def test_wrong_password_is_named(secure_broker: SecureBroker, files: CertificateFolder) -> None:
    error = refusal(secure_broker, scram(files, password="wrong"))
    assert error.message.startswith(f"Kafka at {secure_broker.secure.bootstrap} refuses the login: ")
    assert "invalid credentials" in error.message
    assert error.hint.startswith("check HOMEOSTAT_KAFKA_USERNAME, HOMEOSTAT_KAFKA_PASSWORD")
    assert "wrong" not in str(error)


def test_wrong_ca_is_named(secure_broker: SecureBroker, files: CertificateFolder, tmp_path: Path) -> None:
    error = refusal(secure_broker, scram(files, ca=create_certificates(tmp_path).ca))
    assert "its certificate is not accepted: " in error.message
    assert error.hint.startswith("check HOMEOSTAT_KAFKA_CA")


def test_other_mechanism_is_named(secure_broker: SecureBroker, files: CertificateFolder) -> None:
    error = refusal(secure_broker, scram(files, sasl_mechanism="SCRAM-SHA-256"))
    assert error.message.endswith("refuses the login: it does not offer SCRAM-SHA-256")


def test_tls_with_a_plain_listener_is_named(secure_broker: SecureBroker, files: CertificateFolder) -> None:
    bootstrap = secure_broker.bootstrap
    with pytest.raises(DependencyUnavailable, match="the TLS handshake failed"):
        topic_copies(bootstrap, security=scram(files))


def test_record_travels_with_a_token(secure_broker: SecureBroker, files: CertificateFolder) -> None:
    """Against the broker's login with unsecured tokens (RFC 7515, appendix A.5), made by a command."""

    def part(claims: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip("=")

    now = int(time.time())
    token = f"{part({'alg': 'none'})}.{part({'sub': USER, 'iat': now, 'exp': now + 600})}."
    security = kafka_security(
        KafkaSettings(
            security_protocol="SASL_SSL",
            sasl_mechanism="OAUTHBEARER",
            oauth_token_command=(sys.executable, "-c", f"print('{token}')"),
            ca=files.ca,
        )
    )
    assert travels(secure_broker.secure.bootstrap, security, uuid4().bytes)


def test_refused_token_is_named(secure_broker: SecureBroker, files: CertificateFolder) -> None:
    security = kafka_security(
        KafkaSettings(
            security_protocol="SASL_SSL",
            sasl_mechanism="OAUTHBEARER",
            oauth_token_command=("echo", "nonsense"),
            ca=files.ca,
        )
    )
    error = refusal(secure_broker, security)
    assert "refuses the login" in error.message
    assert error.hint.startswith("check the token that the HOMEOSTAT_KAFKA_OAUTH_… settings give")
