from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.spool.record import FRAME, MAGIC, frame
from shared.spool.scan import scan


def record(body: bytes) -> bytes:
    return b"".join(frame(0, body, []))


ONE, TWO, THREE = record(b"one"), record(b"two"), record(b"three")


def test_whole_records_are_found_with_their_places() -> None:
    found = scan(ONE + TWO, at_end=True, final=False)
    assert found.payloads == [(FRAME.size, len(ONE)), (len(ONE) + FRAME.size, len(ONE) + len(TWO))]
    assert (found.used, found.torn_records, found.broken_bytes) == (len(ONE + TWO), 0, 0)


def test_a_torn_tail_waits_while_somebody_may_be_writing_it() -> None:
    for cut in range(1, len(TWO)):
        found = scan(ONE + TWO[:cut], at_end=True, final=False)
        assert (len(found.payloads), found.used, found.torn_records) == (1, len(ONE), 0)


def test_a_torn_tail_nobody_will_finish_is_skipped_and_counted() -> None:
    for cut in range(1, len(TWO)):
        content = ONE + TWO[:cut]
        found = scan(content, at_end=True, final=True)
        assert (len(found.payloads), found.used, found.torn_records) == (1, len(content), 1)


def test_a_flipped_byte_costs_its_record_and_no_other() -> None:
    for place in range(len(TWO)):
        damaged = bytearray(TWO)
        damaged[place] ^= 0xFF
        found = scan(ONE + bytes(damaged) + THREE, at_end=True, final=True)
        assert [end for _, end in found.payloads] == [len(ONE), len(ONE + TWO + THREE)], place
        assert found.broken_bytes == len(TWO)


def test_a_damaged_length_in_a_live_segment_waits_and_is_skipped_once_it_is_final() -> None:
    damaged = MAGIC + b"\xff\xff\xff\x7f" + TWO[8:]
    assert scan(damaged + THREE, at_end=True, final=False).used == 0
    found = scan(damaged + THREE, at_end=True, final=True)
    assert (len(found.payloads), found.broken_bytes) == (1, len(TWO))


def test_a_record_larger_than_what_was_read_asks_for_more() -> None:
    large = record(b"x" * 1000)
    found = scan(large[:100], at_end=False, final=True)
    assert (found.payloads, found.used, found.wanted) == ([], 0, len(large))


def test_damage_that_fills_all_that_was_read_asks_for_more() -> None:
    found = scan(b"?" * 100, at_end=False, final=True)
    assert (found.used, found.wanted) == (0, 200)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(0, 400), st.booleans())
def test_any_cut_yields_exactly_the_records_before_it(bodies: list[bytes], cut: int, final: bool) -> None:
    records = [record(body) for body in bodies]
    content = b"".join(records)[:cut]
    whole, length = 0, 0
    while whole < len(records) and length + len(records[whole]) <= len(content):
        length += len(records[whole])
        whole += 1
    found = scan(content, at_end=True, final=final)
    assert len(found.payloads) == whole
    assert found.used == (len(content) if final else length)
