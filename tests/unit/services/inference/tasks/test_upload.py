from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from services.inference.http.body import BodyTooSlow, ClientGone
from services.inference.tasks.record import FileOptions
from services.inference.tasks.upload import Upload, UploadReader
from shared.errors import CallerError, InvalidRequest

FORM = b"multipart/form-data; boundary=x"


def part(name: str, content: bytes, *, filename: str = "") -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
    return b"--x\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"


def read(*chunks: bytes, content_type: bytes = FORM, length: bytes = b"", maximum: int = 10_000) -> Upload:
    messages: Iterable[dict[str, Any]] = iter(
        [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    )

    async def receive() -> dict[str, Any]:
        found = next(messages, None)  # type: ignore[call-overload]
        if found is None:
            return {"type": "http.request", "body": b"--x--\r\n", "more_body": False}
        if found["body"] == b"pause":
            await asyncio.sleep(60)
        return {"type": "http.disconnect"} if found["body"] == b"gone" else found

    headers = [(b"content-type", content_type), *([(b"content-length", length)] if length else [])]
    reader = UploadReader(maximum_bytes=maximum, receive_seconds=0.05)
    return asyncio.run(reader.read({"type": "http", "headers": headers}, receive))


FILE = part("file", b"rows", filename="a.parquet")


def test_file_and_options_are_read(tmp_path: Path) -> None:
    upload = read(FILE, part("model", b'"toy"'), part("event_time_column", b"at"))
    assert upload.options == FileOptions(model="toy", event_time_column="at")
    upload.move(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"rows"


def test_null_of_a_client_is_not_given() -> None:
    assert read(FILE, part("model", b"null")).options == FileOptions()


@pytest.mark.parametrize(
    ("chunks", "status", "named"),
    [
        ((part("model", b"toy"),), 400, "the form has no file"),
        ((part("file", b"toy"),), 400, "the form has no file"),
        ((FILE, part("rows", b"1")), 400, "unknown field 'rows'"),
        ((FILE, FILE), 400, "Too many files"),
        ((FILE, part("model", b"toy", filename="b")), 400, "Too many files"),
        ((b"nothing of a form",), 400, "the form cannot be read"),
        ((FILE, b"x" * 10_000), 413, "larger than"),
    ],
)
def test_other_forms_are_refused(chunks: tuple[bytes, ...], status: int, named: str) -> None:
    with pytest.raises(CallerError) as refused:
        read(*chunks)
    assert (refused.value.status, named in refused.value.message) == (status, True), refused.value.message


def test_declared_length_is_refused_before_the_body_arrives() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(b"pause", length=b"10001")
    assert refused.value.status == 413


def test_pause_in_the_body_is_refused() -> None:
    with pytest.raises(BodyTooSlow):
        read(FILE, b"pause")


def test_client_that_leaves_is_not_answered() -> None:
    with pytest.raises(ClientGone):
        read(FILE, b"gone")
