"""The archive of the broker's classes: written once, read only while it is whole and of this Java program and these jars."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from local_stack.kafka.class_archive import ClassArchive


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    path = tmp_path / "kafka.jar"
    path.write_bytes(b"jar")
    return path


def archive(jar: Path, program: str = "/bin/true") -> ClassArchive:
    return ClassArchive(jar.parent, Path(program), [jar])


def write(classes: ClassArchive, content: bytes = b"classes") -> None:
    """What Java does: it writes the file that its option names."""
    with classes.writing() as (option, *_):
        Path(option.removeprefix("-XX:ArchiveClassesAtExit=")).write_bytes(content)


def test_archive_is_written_once_and_then_read(jar: Path) -> None:
    classes = archive(jar)
    assert classes.reading() == ()
    write(classes)
    assert classes.reading()[0] == f"-XX:SharedArchiveFile={classes.find()}"
    with classes.writing() as options:
        assert options == ()
    assert set(jar.parent.iterdir()) == {jar, classes.find()}


def test_java_that_writes_no_archive_is_not_asked_again(jar: Path) -> None:
    with archive(jar).writing() as options:
        assert options
    assert archive(jar).reading() == ()
    with archive(jar).writing() as options:
        assert options == ()
    with archive(jar, "/bin/false").writing() as options:
        assert options


def test_archive_is_not_kept_if_writing_it_failed(jar: Path) -> None:
    with suppress(TimeoutError), archive(jar).writing() as (option, *_):
        Path(option.removeprefix("-XX:ArchiveClassesAtExit=")).write_bytes(b"half of the cla")
        raise TimeoutError
    assert list(jar.parent.iterdir()) == [jar]
    write(archive(jar))
    assert archive(jar).reading()


def test_one_process_at_a_time_writes_the_archive(jar: Path) -> None:
    with archive(jar).writing() as first, archive(jar).writing() as second:
        assert first
        assert second == ()


def test_damaged_archive_is_not_read_and_is_replaced(jar: Path) -> None:
    classes = archive(jar)
    write(classes)
    damaged = classes.find()
    assert damaged is not None
    damaged.write_bytes(b"class")
    assert classes.reading() == ()
    write(classes)
    found = classes.find()
    assert found is not None
    assert found.read_bytes() == b"classes"


def test_archive_of_other_jars_or_java_is_not_read(jar: Path) -> None:
    write(archive(jar))
    assert archive(jar, "/bin/false").reading() == ()
    jar.write_bytes(b"newer jar")
    assert archive(jar).reading() == ()
    write(archive(jar), b"newer classes")
    assert len(list(jar.parent.glob("*.jsa"))) == 1


def test_missing_folder_means_no_archive(jar: Path) -> None:
    classes = ClassArchive(jar.parent / "missing", Path("/bin/true"), [jar])
    with classes.writing() as options:
        assert options == ()
    assert classes.reading() == ()
