"""Finding Java: the text of `java -version`, and a wrong HOMEOSTAT_JAVA_HOME."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_stack.kafka.java import find_java, java_major, parse_major
from shared.errors import OperatorError


@pytest.mark.parametrize(
    ("shown", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("bash: java: command not found", None),
    ],
)
def test_java_major_version_is_parsed(shown: str, major: int | None) -> None:
    assert parse_major(shown) == major


def test_other_program_has_no_java_version() -> None:
    assert java_major(Path("/bin/true")) is None
    assert java_major(Path("/no/such/java")) is None


def test_wrong_java_home_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(
        OperatorError, match=f"HOMEOSTAT_JAVA_HOME={tmp_path} holds no working Java.*unset it"
    ):
        find_java(tmp_path)


def test_old_java_home_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    program.chmod(0o755)
    with pytest.raises(OperatorError, match="holds Java 11; the broker needs Java 17"):
        find_java(tmp_path)


def test_java_is_found_without_settings() -> None:
    assert find_java().major >= 17
