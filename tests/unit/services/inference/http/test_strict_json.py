from __future__ import annotations

import pytest

from services.inference.http.strict_json import decode, refuse_repeated_names
from shared.errors import InvalidRequest


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b'"\xff"',
        b'"\\ud800"',
        b"[1,]",
        b"{} {}",
        b"[" * 5000 + b"]" * 5000,
    ],
)
def test_what_is_not_strict_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(body)
    assert caught.value.status == 400
    assert caught.value.field == "body"


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        refuse_repeated_names(b'{"rows": [{"a": 1, "a": 2}]}', names=2)
    assert caught.value.field == "a"


def test_colons_in_strings_are_no_names() -> None:
    refuse_repeated_names(b'{"rows": [{"a": "b:c"}]}', names=2)
