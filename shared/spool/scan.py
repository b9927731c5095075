"""Finds the whole records in a stretch of a segment. Pure: bytes in, places out."""

from __future__ import annotations

from dataclasses import dataclass, field

from isal.isal_zlib import crc32

from shared.spool.record import FRAME, MAGIC


@dataclass
class Scan:
    """Payloads found as (start, end) within the bytes, the number of bytes consumed, and what was skipped.

    `bytes_needed`: bytes needed from the start to make progress; 0 where more bytes would not help.
    """

    payloads: list[tuple[int, int]] = field(default_factory=list)
    used: int = 0
    bytes_needed: int = 0
    torn_records: int = 0
    corrupt_bytes: int = 0


def scan(content: bytes, *, at_end: bool, final: bool) -> Scan:
    """Scan `content`. `at_end`: it reaches the segment's present end. `final`: the segment will not grow."""
    found = Scan()
    while found.used < len(content):
        start = found.used
        end = _end_of_record(content, start)
        if end is not None and end <= len(content) and _is_complete(content, start, end):
            found.payloads.append((start + FRAME.size, end))
            found.used = end
            continue
        incomplete = content.startswith(MAGIC[: len(content) - start], start) and (
            end is None or end > len(content)
        )
        if incomplete and not at_end:
            found.bytes_needed = (end or start + FRAME.size) if start == 0 else 0
            break
        if incomplete and not final:
            break  # the write may not be finished
        following = _next_complete_record(content, start + 1)
        if following is not None:
            found.corrupt_bytes += following - start
            found.used = following
        elif not at_end:
            found.bytes_needed = len(content) * 2 if start == 0 else 0
            break
        elif final:
            # A write that was cut short lacks its end. A record that has its length, but not its checksum, was answered.
            found.torn_records += incomplete
            found.corrupt_bytes += 0 if incomplete else len(content) - start
            found.used = len(content)
        else:
            break  # bytes written later show where the next record starts
    return found


def _end_of_record(content: bytes, start: int) -> int | None:
    """End of the record at `start` by its frame; None where no frame can be read."""
    if start + FRAME.size > len(content):
        return None
    magic, length, _ = FRAME.unpack_from(content, start)
    return start + FRAME.size + int(length) if magic == MAGIC else None


def _is_complete(content: bytes, start: int, end: int) -> bool:
    checksum = FRAME.unpack_from(content, start)[2]
    return crc32(memoryview(content)[start + FRAME.size : end]) == int(checksum)


def _next_complete_record(content: bytes, start: int) -> int | None:
    at = content.find(MAGIC, start)
    while at >= 0:
        end = _end_of_record(content, at)
        if end is not None and end <= len(content) and _is_complete(content, at, end):
            return at
        at = content.find(MAGIC, at + 1)
    return None
