"""The words of a condition: names, numbers, strings and operators, each with its position."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

MAX_LENGTH = 1000

TokenKind = Literal["name", "number", "string", "operator", "end"]

_TOKEN = re.compile(
    r"""
    (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<string>"[^"\n]*"|'[^'\n]*')
    | (?P<operator><=|>=|==|!=|<|>|\(|\)|\[|\]|,)
    """,
    re.VERBOSE,
)


class ConditionError(ValueError):
    """A condition that cannot be read: what is wrong, and where (characters from 1)."""

    def __init__(self, position: int, problem: str) -> None:
        super().__init__(f"at character {position}: {problem}")
        self.position = position


@dataclass(frozen=True)
class Token:
    """A word at `position`, counted from 1."""

    kind: TokenKind
    text: str
    position: int

    def __str__(self) -> str:
        return self.text if self.kind != "end" else "the end"


def tokens_of(text: str) -> list[Token]:
    """The words of a condition, and its end. Raises ConditionError.

    >>> [str(token) for token in tokens_of("distance >= 1e3")]
    ['distance', '>=', '1e3', 'the end']
    """
    if len(text) > MAX_LENGTH:
        raise ConditionError(MAX_LENGTH + 1, f"the condition is longer than {MAX_LENGTH} characters")
    found: list[Token] = []
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        match = _TOKEN.match(text, place)
        if match is None:
            raise ConditionError(place + 1, _unreadable(text[place]))
        kind: TokenKind = match.lastgroup  # type: ignore[assignment]
        found.append(Token(kind, match.group(), place + 1))
        place = match.end()
    return [*found, Token("end", "", len(text) + 1)]


def _unreadable(character: str) -> str:
    if character == "=":
        return "a comparison for equality is written =="
    if character in "\"'":
        return "this text has no closing quote"
    return f"{character!r} is not part of a condition"
