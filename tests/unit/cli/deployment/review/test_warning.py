"""The form of a warning."""

from __future__ import annotations

from cli.deployment.review.warning import LoopWarning, named


def test_text_is_one_line_with_key_and_hint() -> None:
    assert LoopWarning("gate.holdout", "too short", "set 7d").text == "gate.holdout: too short; set 7d"


def test_names_beyond_the_first_are_counted() -> None:
    assert named(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert named(["a"]) == "a"
