from __future__ import annotations

import pytest

from homeostat.model_export.text.token_pattern import translate
from shared.errors import ExportRefused


def test_the_default_pattern_needs_no_boundary() -> None:
    pattern = translate(r"(?u)\b\w\w+\b")
    assert pattern.keep == ""
    assert pattern.find.endswith("]+")
    assert r"\x{61}-\x{7a}" in pattern.find
    assert "\\b" not in pattern.find


def test_runs_are_filtered_by_a_pattern_between_boundaries() -> None:
    pattern = translate(r"\b[a-z]{3,}\b")
    assert pattern.find == translate(r"\w+").find
    assert pattern.keep == r"[\x{61}-\x{7a}]{3,}"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"[a-c']+", r"[\x{27}\x{61}-\x{63}]+"),
        (r"[]a-]", r"[\x{2d}\x{5d}\x{61}]"),
        (r"[^a]", r"[\x{0}-\x{60}\x{62}-\x{10ffff}]"),
        (r"(?i)(?:a|\.){2}", r"(?i)(?:[\x{61}]|[\x{2e}]){2}"),
        (r"(?a)\d", r"[\x{30}-\x{39}]"),
        (r"\x41\u00e9\t?", r"[\x{41}][\x{e9}][\x{9}]?"),
        (r"a{,3}", r"[\x{61}]{0,3}"),
    ],
)
def test_classes_become_ranges_of_code_points(pattern: str, expected: str) -> None:
    assert translate(pattern).find == expected


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        (r"(\w+)", r"has \(\\w"),
        (r"\w+?", r"has \+\?"),
        (r"\w++", r"has \+\+"),
        (r"\w+(?=\s)", r"has \(\?="),
        (r"\b\w[\w'-]+\b", r"has \\b around characters that are not of \\w"),
        (r"\b[z-{]+\b", r"has \\b around characters that are not of \\w"),
        (r"\b[`a]+\b", r"has \\b around characters that are not of \\w"),
        (r"\b\x00+\b", r"has \\b around characters that are not of \\w"),
        (r"\ba|b\b", r"has \\b beside alternatives"),
        (r"\w+\b", r"has \\b,"),
        (r"^\w+", r"has \^"),
        (r"(?x)\w +", r"has \(\?x"),
        (r"\Aa", r"has \\A"),
    ],
)
def test_what_re2_has_not_is_named(pattern: str, part: str) -> None:
    with pytest.raises(ExportRefused, match=part):
        translate(pattern)
