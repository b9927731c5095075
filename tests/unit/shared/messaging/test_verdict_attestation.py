"""Attestations of verdicts in alerts: drift's are recognised, every change of one is not."""

from __future__ import annotations

import pytest

from shared.messaging.record_mac import RecordMac
from shared.messaging.verdict_attestation import attest, find_flaw

VERDICT = {"model": "toy", "verdict_id": "a" * 32, "version": "b" * 64, "state": "drift"}
OLD, NEW = b"k" * 32, b"n" * 32


def test_attestation_of_drift_has_no_flaw() -> None:
    made = attest(RecordMac([OLD]), **VERDICT)
    assert len(made) == 8 + 1 + 64
    assert find_flaw(RecordMac([NEW, OLD]), made, **VERDICT) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [("model", "other"), ("verdict_id", "c" * 32), ("version", "c" * 64), ("state", "ok"), ("state", "")],
)
def test_attestation_is_of_one_verdict_only(name: str, value: str) -> None:
    made = attest(RecordMac([OLD]), **VERDICT)
    assert "is not drift's" in find_flaw(RecordMac([OLD]), made, **(VERDICT | {name: value}))


@pytest.mark.parametrize("made", ["", "x", ":", "<no value>", "\ud800", "a" * 73])
def test_other_text_is_no_attestation(made: str) -> None:
    assert find_flaw(RecordMac([OLD]), made, **VERDICT)


def test_key_of_another_installation_attests_nothing() -> None:
    assert find_flaw(RecordMac([OLD]), attest(RecordMac([NEW]), **VERDICT), **VERDICT)
