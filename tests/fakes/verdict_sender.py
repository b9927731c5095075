"""Sends verdicts as an installation's drift would: with a MAC of its key."""

from __future__ import annotations

from pathlib import Path

from shared.contracts.topics import VERDICTS
from shared.contracts.verdict import Verdict
from shared.messaging.producer import open_producer
from shared.messaging.record_mac import AuthenticatingProducer, RecordMac
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.key_files import record_secrets


def send_verdicts(home: Path, bootstrap: str, *verdicts: Verdict) -> None:
    """Put the verdicts on their topic; return once the broker has them."""
    mac = RecordMac(record_secrets(Keys(home / "keys").verdicts))
    producer = AuthenticatingProducer(open_producer(bootstrap, "test"), mac)
    try:
        for verdict in verdicts:
            value = verdict.model_dump_json().encode()
            producer.send(VERDICTS.name, verdict.model.encode(), value, []).result(20)
    finally:
        producer.close()
