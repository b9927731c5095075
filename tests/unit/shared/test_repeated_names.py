from __future__ import annotations

import json
import random
from typing import Any

import orjson
import pytest

from shared.errors import InvalidRequest
from shared.http.json_body import parse_json
from shared.repeated_names import repeated_name, repeats_a_name


def repeats(text: bytes) -> bool:
    return repeats_a_name(text, orjson.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"a" :1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":1,"b":{"c":[1,{"d":2,"d":3}]}}',
        b'[[[{"a":1,"a":1}]]]',
        b'{"a":":","a" :2}',
        *(b'{"a":1,"a"%b:2,"b":"x:y"}' % space for space in (b" ", b"\n", b"\r", b"\t")),
        b'{"a":":","a":2}',
        b'{"a":" :","a":2}',
        b'{"a\\"":1,"a\\"":2}',
        b'{"a\\\\":":","a\\\\" :2}',
        b'{"":1,"":2}',
        b'{":":1,":":2}',
        b'{"at":"2013-01-01T05:00:00Z","a":1,"a":2}',
        '{"gr\u00fcn":1,"gr\\u00fcn":2}'.encode(),
    ],
)
def test_repeat_is_found(text: bytes) -> None:
    assert repeats(text)
    with pytest.raises(InvalidRequest, match="twice") as caught:
        parse_json(text)
    assert caught.value.status == 400
    assert caught.value.field == (repeated_name(text) or "body")


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"[]",
        b"1",
        b'"::"',
        b'{"a":1,"b":2}',
        b'{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}',
        b'{"a":":","b":"::\\":"}',
        b'{":":1," :":2,"\\":":3}',
        b'{ "a" : " : " , "b"\n:\t":" }',
        b'{"at":"2013-01-01T05:00:00Z","a":[1,2,3]}',
        b'{"a\\\\":1,"b":"\\\\"}',
        b'{"a":1,"A":2}',
    ],
)
def test_document_without_repeats_is_taken(text: bytes) -> None:
    assert not repeats(text)
    assert parse_json(text) == orjson.loads(text)


def test_deep_document_is_looked_at_without_recursion() -> None:
    deep = b'{"a":' * 1000 + b'{"b":1,"b":2}' + b"}" * 1000
    assert repeats(deep)
    assert repeated_name(deep) in ("", "b")
    assert not repeats(deep.replace(b',"b":2', b""))


def test_name_in_a_large_document_is_not_looked_for() -> None:
    assert repeated_name(b'{"a":1,"a":2}' + b" " * 70_000) == ""


@pytest.mark.parametrize("seed", range(4))
def test_any_document_is_judged_as_by_a_parser_with_pairs(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(400):
        text = written(value(chance, 3), chance).encode()
        assert repeats(text) is has_repeat(text), text


class Members(list[tuple[str, Any]]):
    """An object of a document, whose names may repeat."""


def value(chance: random.Random, depth: int) -> Any:
    if depth and chance.random() < 0.6:
        if chance.random() < 0.4:
            return [value(chance, depth - 1) for _ in range(chance.randint(0, 3))]
        return Members((some_text(chance), value(chance, depth - 1)) for _ in range(chance.randint(0, 3)))
    return chance.choice([1, -2.5, None, True, some_text(chance), some_text(chance)])


def some_text(chance: random.Random) -> str:
    return "".join(chance.choice('ab: "\\') for _ in range(chance.randint(0, 3)))


def written(found: Any, chance: random.Random) -> str:
    space = chance.choice(["", "", " ", "\n"])
    if isinstance(found, Members):
        members = (f"{quoted(name, chance)}{space}:{written(one, chance)}" for name, one in found)
        return "{" + ",".join(members) + space + "}"
    if isinstance(found, list):
        return "[" + ",".join(written(one, chance) for one in found) + "]"
    return quoted(found, chance) if isinstance(found, str) else json.dumps(found)


def quoted(text: str, chance: random.Random) -> str:
    if chance.random() < 0.2:
        return '"' + "".join(f"\\u{ord(letter):04x}" for letter in text) + '"'
    return json.dumps(text)


def has_repeat(text: bytes) -> bool:
    found = False

    def look(members: list[tuple[str, Any]]) -> None:
        nonlocal found
        found |= len(dict(members)) < len(members)

    json.loads(text, object_pairs_hook=look)
    return found
