r"""A regular expression of tokens, translated from Python's `re` to RE2, the library behind the operator Tokenizer. Pure.

RE2 knows `\w`, `\d`, `\s` and `\b` for ASCII only, so each class is written as the ranges of code points that Python's `re`
matches: equal by construction, whatever versions of Unicode the two libraries have. `\b` is no range. It is taken away where a
pattern between two of them consumes characters of `\w` only: its matches are the runs of `\w` that match as a whole.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

from shared.errors import ExportRefused

_FLAGS = re.compile(r"\(\?([aius]+)\)")
_WORD_RUN = re.compile(r"(?:\\w)+(?:\+|\{\d+,\})?")
_BOUNDARY = r"\b"
_CLASSES = "wWdDsS"
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_SURROGATES = range(0xD800, 0xE000)
_LAST = 0x10FFFF

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class TokenPattern:
    """`find` matches the tokens in a text; `keep`, unless empty, matches the ones to keep, each as a whole. Both are RE2."""

    find: str
    keep: str = ""


def translate(pattern: str) -> TokenPattern:
    r"""A `token_pattern` of scikit-learn for RE2. Raises ExportRefused that names the part that RE2 has not.

    >>> translate(r"[a-c]+"), translate(r"(?u)\b\d{4}\b").keep == translate(r"\d{4}").find
    (TokenPattern(find='[\\x{61}-\\x{63}]+', keep=''), True)
    """
    flags = "".join(_FLAGS.findall(pattern)) if (start := _FLAGS.match(pattern)) else ""
    inner = pattern[start.end() :] if start else pattern
    bounded = inner.startswith(_BOUNDARY) and inner.endswith(_BOUNDARY) and len(inner) > 2 * len(_BOUNDARY)
    translation = _Translation(pattern, "a" in flags)
    prefix = "".join(f"(?{flag})" for flag in "is" if flag in flags)
    if not bounded:
        return TokenPattern(prefix + translation.of(inner))
    inner = inner[len(_BOUNDARY) : -len(_BOUNDARY)]
    if "|" in inner and not re.fullmatch(r"\(\?:[^()]*\)", inner):
        # \ba|b\b is (\ba)|(b\b).
        raise _refused(pattern, r"\b beside alternatives without a group")
    translated = prefix + translation.of(inner)
    if not translation.words_only:
        raise _refused(pattern, r"\b around characters that are not of \w")
    if _WORD_RUN.fullmatch(inner) and inner.endswith(("+", ",}")):
        return TokenPattern(translated)
    return TokenPattern(_Translation(pattern, "a" in flags).of(r"\w+"), translated)


class _Translation:
    """Translates a pattern from left to right. `words_only`: whether everything it consumes is of the class `\\w`."""

    def __init__(self, pattern: str, is_ascii: bool) -> None:
        self.words_only = True
        self._pattern = pattern
        self._is_ascii = is_ascii

    def of(self, text: str) -> str:
        """The translation. `text` compiles with Python's `re`."""
        parts: list[str] = []
        place = 0
        while place < len(text):
            char = text[place]
            if char == "[":
                ranges, negated, place = self._class(text, place + 1)
                parts.append(_written(_complement(ranges) if negated else ranges))
                self._consumes(_complement(ranges) if negated else ranges)
                continue
            if char == "\\":
                ranges, place = self._escape(text, place + 1)
                parts.append(_written(ranges))
                self._consumes(ranges)
                continue
            if char == "(":
                if text[place : place + 3] != "(?:":
                    raise self._refused(text[place : place + 3])
                parts.append("(?:")
                place += 3
                continue
            if char in "*+?{":
                quantifier = self._quantifier(text, place)
                parts.append(quantifier)
                place += len(quantifier)
                continue
            if char in "^$":
                raise self._refused(char)
            if char == ".":
                self.words_only = False
            elif char not in ")|":
                self._consumes(((ord(char), ord(char)),))
                char = _written(((ord(char), ord(char)),))
            parts.append(char)
            place += 1
        return "".join(parts)

    def _quantifier(self, text: str, place: int) -> str:
        found = re.compile(r"[*+?]|\{\d*,?\d*\}").match(text, place)
        if found is None:
            raise self._refused(text[place])
        if text[found.end() : found.end() + 1] in ("?", "+"):
            # Tokenizer always takes the longest match.
            raise self._refused(text[place : found.end() + 1])
        return found.group().replace("{,", "{0,")

    def _class(self, text: str, place: int) -> tuple[Ranges, bool, int]:
        negated = text[place] == "^"
        place += negated
        first = place
        found: list[tuple[int, int]] = []
        while text[place] != "]" or place == first:
            low, place = self._member(text, place)
            if text[place] == "-" and text[place + 1] != "]" and len(low) == 1:
                high, place = self._member(text, place + 1)
                low = ((low[0][0], high[0][1]),)
            found.extend(low)
        return _merged(found), negated, place + 1

    def _member(self, text: str, place: int) -> tuple[Ranges, int]:
        if text[place] == "\\":
            return self._escape(text, place + 1, inside=True)
        return ((ord(text[place]), ord(text[place])),), place + 1

    def _escape(self, text: str, place: int, *, inside: bool = False) -> tuple[Ranges, int]:
        char = text[place]
        if char in _CLASSES:
            return _class_ranges(char, self._is_ascii), place + 1
        if char in "xuU":
            digits = {"x": 2, "u": 4, "U": 8}[char]
            code = int(text[place + 1 : place + 1 + digits], 16)
            return ((code, code),), place + 1 + digits
        if char == "b" and inside:
            return ((8, 8),), place + 1
        if char in _CONTROLS:
            char = _CONTROLS[char]
        elif char.isalnum():
            raise self._refused("\\" + char)
        return ((ord(char), ord(char)),), place + 1

    def _consumes(self, ranges: Ranges) -> None:
        words = _class_ranges("w", self._is_ascii)
        for first, last in ranges:
            # The last one that begins at `first` or before it: they are in order and apart.
            place = bisect_right(words, (first, _LAST)) - 1
            self.words_only &= place >= 0 and last <= words[place][1]

    def _refused(self, part: str) -> ExportRefused:
        return _refused(self._pattern, part)


def _refused(pattern: str, part: str) -> ExportRefused:
    return ExportRefused(
        f"token_pattern={pattern!r} has {part}, which the exported tokenizer does not have",
        hint=r"fit with classes and greedy repetition only, such as (?u)\b\w\w+\b, \S+ or [a-z']{2,}",
    )


@cache
def _class_ranges(name: str, is_ascii: bool) -> Ranges:
    """The code points of `\\w` and its like. Surrogates are in none: a text has no single ones."""
    if name.isupper():
        return _complement(_class_ranges(name.lower(), is_ascii))
    runs = re.compile(rf"\{name}+", re.ASCII if is_ascii else 0)
    # The text holds every code point at its place.
    return tuple((run.start(), run.end() - 1) for run in runs.finditer(_every_character()))


@cache
def _every_character() -> str:
    return "".join(chr(0 if code in _SURROGATES else code) for code in range(_LAST + 1))


def _merged(ranges: list[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _complement(ranges: Ranges) -> Ranges:
    gaps: list[tuple[int, int]] = []
    start = 0
    for low, high in ranges:
        if low > start:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= _LAST:
        gaps.append((start, _LAST))
    return tuple(gaps)


def _written(ranges: Ranges) -> str:
    inside = "".join(
        rf"\x{{{low:x}}}" if low == high else rf"\x{{{low:x}}}-\x{{{high:x}}}" for low, high in ranges
    )
    return f"[{inside}]"
