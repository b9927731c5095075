from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_stack.certificates import create_certificates
from shared.errors import OperatorError
from shared.messaging.connection import HINT
from shared.messaging.security.kafka_security import KafkaSecurity, kafka_security
from shared.messaging.security.settings import KafkaSettings

LOGIN: dict[str, Any] = {"security_protocol": "SASL_PLAINTEXT", "username": "a", "password": "b"}


def made(**settings: Any) -> KafkaSecurity:
    return kafka_security(KafkaSettings(**settings))


def refused(**settings: Any) -> OperatorError:
    with pytest.raises(OperatorError) as error:
        made(**settings)
    return error.value


def test_default_is_a_plain_connection() -> None:
    assert made().options == {"security_protocol": "PLAINTEXT"}


def test_empty_variables_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KafkaSettings.model_fields:
        monkeypatch.setenv(f"HOMEOSTAT_KAFKA_{name.upper()}", "")
    assert made().options == {"security_protocol": "PLAINTEXT"}


def test_names_are_those_of_the_client() -> None:
    assert made(**LOGIN, sasl_mechanism="PLAIN").options == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "a",
        "sasl_plain_password": "b",
    }


def test_password_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    options = made(**LOGIN | {"password": ""}, password_file=tmp_path / "password").options
    assert options["sasl_plain_password"] == "from a file"


def test_missing_login_is_named(tmp_path: Path) -> None:
    error = refused(**LOGIN | {"username": ""})
    assert error.message == (
        "HOMEOSTAT_KAFKA_USERNAME is not set, and HOMEOSTAT_KAFKA_SECURITY_PROTOCOL is SASL_PLAINTEXT"
    )
    error = refused(**LOGIN | {"password": ""})
    assert error.hint == "set HOMEOSTAT_KAFKA_PASSWORD or HOMEOSTAT_KAFKA_PASSWORD_FILE"
    error = refused(**LOGIN | {"password": ""}, password_file=tmp_path / "none")
    assert error.message.startswith(f"HOMEOSTAT_KAFKA_PASSWORD_FILE: {tmp_path / 'none'} cannot be read")


def test_missing_ca_is_named_at_the_start(tmp_path: Path) -> None:
    error = refused(security_protocol="SSL", ca=tmp_path / "ca.pem")
    assert error.message.startswith(f"HOMEOSTAT_KAFKA_CA: {tmp_path / 'ca.pem'} cannot be read")


def test_client_certificate_needs_its_key(tmp_path: Path) -> None:
    files = create_certificates(tmp_path)
    error = refused(security_protocol="SSL", ca=files.ca, certificate=files.client)
    assert error.message == "HOMEOSTAT_KAFKA_CERTIFICATE is set, and HOMEOSTAT_KAFKA_KEY is not"
    assert made(security_protocol="SSL", ca=files.ca, certificate=files.client, key=files.client_key).tls


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "HOMEOSTAT_KAFKA_OAUTH_TOKEN_COMMAND are not set"),
        (
            {"oauth_token_url": "https://a/b", "oauth_token_command": ("a",)},
            "HOMEOSTAT_KAFKA_OAUTH_TOKEN_COMMAND are both set",
        ),
        ({"oauth_token_url": "https://a/b"}, "HOMEOSTAT_KAFKA_OAUTH_CLIENT_SECRET is not set"),
    ],
)
def test_missing_token_source_is_named(settings: dict[str, Any], message: str) -> None:
    error = refused(security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", **settings)
    assert message in error.message


def test_failed_token_is_the_problem() -> None:
    security = made(
        security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", oauth_token_command=("/no/program",)
    )
    error = security.explain("127.0.0.1:1", None)
    assert error.message.startswith("no token for Kafka at 127.0.0.1:1: HOMEOSTAT_KAFKA_OAUTH_TOKEN_COMMAND")


def test_address_without_a_broker_is_unavailable(no_broker: str) -> None:
    error = made(**LOGIN).explain(no_broker, None)
    assert error.message == f"no Kafka broker answers at {no_broker}"
    assert error.hint == HINT
