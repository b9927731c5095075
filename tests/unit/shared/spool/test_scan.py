from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.spool.record import FRAME, MAGIC, frame
from shared.spool.scan import scan


def record(body: bytes) -> bytes:
    return b"".join(frame(0, body, []))


ONE, TWO, THREE = record(b"one"), record(b"two"), record(b"three")


def test_complete_records_are_found_with_offsets() -> None:
    found = scan(ONE + TWO, at_end=True, final=False)
    assert found.payloads == [(FRAME.size, len(ONE)), (len(ONE) + FRAME.size, len(ONE) + len(TWO))]
    assert (found.used, found.torn_records, found.corrupt_bytes) == (len(ONE + TWO), 0, 0)


def test_torn_tail_of_a_growing_segment_is_not_skipped() -> None:
    for cut in range(1, len(TWO)):
        found = scan(ONE + TWO[:cut], at_end=True, final=False)
        assert (len(found.payloads), found.used, found.torn_records) == (1, len(ONE), 0)


def test_torn_tail_of_a_final_segment_is_skipped_and_counted() -> None:
    for cut in range(1, len(TWO)):
        content = ONE + TWO[:cut]
        found = scan(content, at_end=True, final=True)
        assert (len(found.payloads), found.used, found.torn_records) == (1, len(content), 1)


def test_flipped_byte_loses_only_its_record() -> None:
    for place in range(len(TWO)):
        damaged = bytearray(TWO)
        damaged[place] ^= 0xFF
        found = scan(ONE + bytes(damaged) + THREE, at_end=True, final=True)
        assert [end for _, end in found.payloads] == [len(ONE), len(ONE + TWO + THREE)], place
        assert found.corrupt_bytes == len(TWO)


def test_corrupt_length_is_skipped_once_the_segment_is_final() -> None:
    damaged = MAGIC + b"\xff\xff\xff\x7f" + TWO[8:]
    assert scan(damaged + THREE, at_end=True, final=False).used == 0
    found = scan(damaged + THREE, at_end=True, final=True)
    assert (len(found.payloads), found.corrupt_bytes) == (1, len(TWO))


def test_large_record_needs_more_bytes() -> None:
    large = record(b"x" * 1000)
    found = scan(large[:100], at_end=False, final=True)
    assert (found.payloads, found.used, found.bytes_needed) == ([], 0, len(large))


def test_corrupt_bytes_up_to_the_end_need_more_bytes() -> None:
    found = scan(b"?" * 100, at_end=False, final=True)
    assert (found.used, found.bytes_needed) == (0, 200)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(0, 400), st.booleans())
def test_any_truncation_yields_the_records_before_it(bodies: list[bytes], cut: int, final: bool) -> None:
    records = [record(body) for body in bodies]
    content = b"".join(records)[:cut]
    whole, length = 0, 0
    while whole < len(records) and length + len(records[whole]) <= len(content):
        length += len(records[whole])
        whole += 1
    found = scan(content, at_end=True, final=final)
    assert len(found.payloads) == whole
    assert found.used == (len(content) if final else length)
