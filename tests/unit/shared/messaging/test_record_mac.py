"""MACs of Kafka records: what a sender makes is authentic, every change of it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.messaging.interfaces import Message, Partition
from shared.messaging.record_mac import HEADER, AuthenticatingProducer, RecordMac, key_id
from tests.fakes.kafka import FakeBroker

KEY, OTHER = b"k" * 32, b"o" * 32
TOPIC = "homeostat.verdicts"


def sent(mac: RecordMac, value: bytes = b"value", key: bytes | None = b"key") -> Message:
    broker = FakeBroker()
    AuthenticatingProducer(broker.producer(), mac).send(TOPIC, key, value, [("ce_id", b"1"), ("x", b"")])
    return broker.messages(TOPIC)[0]


def test_sent_record_is_authentic() -> None:
    mac = RecordMac([KEY])
    message = sent(mac)
    assert mac.find_flaw(message) == ""
    assert [name for name, _ in message.headers] == ["ce_id", "x", HEADER]


def test_mac_is_hmac_sha256_of_parts_after_their_lengths() -> None:
    """Computed with `openssl dgst -sha256 -mac HMAC` over the bytes written out by hand."""
    name, value = RecordMac([KEY]).header("t", None, b"v", [("h", b"")])
    assert name == HEADER
    assert value == b"5e318f8c:071fb9bd4d4f96d70ad75a3945f57cb49e36632d068ffb6382219db27f55bd5d"


def test_record_may_be_sent_again() -> None:
    mac = RecordMac([KEY])
    message = replace(sent(mac), partition=Partition(TOPIC, 7), offset=99, timestamp=5)
    assert mac.find_flaw(message) == ""


@pytest.mark.parametrize("value", [b"", b"x" * 100_000])
@pytest.mark.parametrize("key", [None, b"", b"key"])
def test_missing_and_empty_parts_are_covered(value: bytes, key: bytes | None) -> None:
    mac = RecordMac([KEY])
    assert mac.find_flaw(sent(mac, value, key)) == ""


def changed(message: Message) -> dict[str, Message]:
    first, second, code = message.headers
    return {
        "value": replace(message, value=b"other"),
        "key": replace(message, key=b"other"),
        "no key": replace(message, key=None),
        "bytes moved from key to value": replace(message, key=b"ke", value=b"yvalue"),
        "topic": replace(message, partition=Partition("homeostat.outcomes", 0)),
        "header": replace(message, headers=[("ce_id", b"2"), second, code]),
        "header's name": replace(message, headers=[("ce_is", b"1"), second, code]),
        "header added": replace(message, headers=[first, second, ("y", b""), code]),
        "header removed": replace(message, headers=[first, code]),
        "header without value": replace(message, headers=[first, ("x", None), code]),  # type: ignore[list-item]
        "headers in another order": replace(message, headers=[second, first, code]),
    }


@pytest.mark.parametrize("change", changed(sent(RecordMac([KEY]))))
def test_changed_record_is_not_authentic(change: str) -> None:
    mac = RecordMac([KEY])
    assert "does not match" in mac.find_flaw(changed(sent(mac))[change])


def test_missing_repeated_and_malformed_macs_are_named() -> None:
    mac = RecordMac([KEY])
    message = sent(mac)
    others, code = message.headers[:2], message.headers[2]
    assert mac.find_flaw(replace(message, headers=others)) == f"the record has no header {HEADER}"
    assert "has 2 headers" in mac.find_flaw(replace(message, headers=[*message.headers, code]))
    for text in (b"", b":", b"noise", b"\xff\xff:\xff", code[1].split(b":")[1]):
        flaw = mac.find_flaw(replace(message, headers=[*others, (HEADER, text)]))
        assert f"expected key {key_id(KEY)}" in flaw
    cut = replace(message, headers=[*others, (HEADER, code[1][:-1])])
    assert "does not match" in mac.find_flaw(cut)
    assert "of key" in mac.find_flaw(replace(message, headers=[*others, (HEADER, None)]))  # type: ignore[list-item]


def test_another_key_is_refused_until_it_is_known() -> None:
    message = sent(RecordMac([OTHER]))
    assert f"of key {key_id(OTHER).encode()!r}" in RecordMac([KEY]).find_flaw(message)
    assert RecordMac([KEY, OTHER]).find_flaw(message) == ""


def test_first_key_makes_macs() -> None:
    assert RecordMac([KEY]).find_flaw(sent(RecordMac([KEY, OTHER]))) == ""
    with pytest.raises(ValueError, match="no key"):
        RecordMac([])
