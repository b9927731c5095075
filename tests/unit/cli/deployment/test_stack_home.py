"""A version is written only to the home of the stack that is asked to release it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.deployment.stack_home import require_home_of
from shared.errors import OperatorError

URL = "http://127.0.0.1:8003"


def test_other_home_is_refused_with_both_homes_and_the_command(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    with pytest.raises(OperatorError) as raised:
        require_home_of(URL, ours, project="late", home_on={8003: theirs}.get)
    assert raised.value.message == (
        f"this would write the version to {ours}, but the stack at {URL} runs on {theirs}"
    )
    assert raised.value.hint == (
        f"for that stack: `homeostat deploy late --home {theirs}`, with your other options; for the stack of {ours}: leave out "
        "--retraining-url, and unset HOMEOSTAT_RETRAINING_URL and HOMEOSTAT_RETRAINING_PORT"
    )


def test_same_home_by_another_path_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to("home")
    require_home_of(URL, tmp_path / "link", project="late", home_on=lambda _: tmp_path / "home")


def test_unknown_home_is_accepted(tmp_path: Path) -> None:
    require_home_of(URL, tmp_path, project="late", home_on=lambda _: None)


@pytest.mark.parametrize("url", ["http://retraining:8003", "https://example.org"])
def test_stack_elsewhere_is_not_looked_for(url: str, tmp_path: Path) -> None:
    def fail(port: int) -> Path | None:
        raise AssertionError(port)

    require_home_of(url, tmp_path, project="late", home_on=fail)
