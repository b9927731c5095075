"""Drift's attestation of a verdict in an alert: a MAC that passes through Prometheus and Alertmanager, which have no logins.

Alertmanager sends every alert on with its API key. Without the MAC, whoever can reach Alertmanager could raise alerts that start
retrainings. It is made with the keys of the records on the verdicts topic, under another topic name: no record can be taken for
an attestation, nor the reverse.
"""

from __future__ import annotations

from typing import Final

from shared.messaging.interfaces import Message, Partition
from shared.messaging.record_mac import HEADER, RecordMac

_TOPIC: Final = "attestations-in-alerts"


def attest(mac: RecordMac, model: str, verdict_id: str, version: str, state: str) -> str:
    """The MAC of a verdict: `<id of the key>:<64 hexadecimal digits>`."""
    return mac.header(_TOPIC, model.encode(), _content(verdict_id, version, state), [])[1].decode()


def find_flaw(mac: RecordMac, attestation: str, model: str, verdict_id: str, version: str, state: str) -> str:
    """Why an attestation is not drift's for exactly this verdict; empty if it is."""
    if not attestation:
        return "it has no annotation verdict_mac"
    headers = [(HEADER, attestation.encode("utf-8", "replace"))]
    message = Message(Partition(_TOPIC, 0), 0, model.encode(), _content(verdict_id, version, state), headers)
    return "its annotation verdict_mac is not drift's for this verdict" if mac.find_flaw(message) else ""


def _content(verdict_id: str, version: str, state: str) -> bytes:
    # None of the three contains a line break.
    return "\n".join((verdict_id, version, state)).encode()
