"""The broker's jars: what lies there with the pinned bytes is used without a network; anything else is not."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from local_stack.kafka.jars import Jar, ensure_jars, present, read_lock
from shared.errors import DependencyUnavailable


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "kafka-jars.txt"
    path.write_text(f"# pinned\norg.example:no-such-jar:1.0 sha256={sha256(b'good').hexdigest()}\n")
    return path


def test_lock_pins_broker_and_logging() -> None:
    jars = read_lock()
    names = {jar.file_name for jar in jars}
    assert {"kafka_2.13-4.2.0.jar", "kafka-clients-4.2.0.jar", "log4j-slf4j-impl-2.25.3.jar"} <= names
    assert len(names) == len(jars)
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in jars)


def test_lock_line_is_parsed(lock: Path) -> None:
    assert read_lock(lock) == [Jar("org.example:no-such-jar:1.0", sha256(b"good").hexdigest())]
    assert read_lock(lock)[0].file_name == "no-such-jar-1.0.jar"


def test_cached_jar_is_not_fetched(lock: Path, tmp_path: Path) -> None:
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "no-such-jar-1.0.jar").write_bytes(b"good")
    said: list[str] = []
    assert ensure_jars(folder, on_progress=said.append, lock=lock) == [folder / "no-such-jar-1.0.jar"]
    assert said == []


def test_changed_jar_is_never_used(lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody listens there: no network
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "no-such-jar-1.0.jar").write_bytes(b"evil")
    assert not present(folder, lock)
    with pytest.raises(
        DependencyUnavailable,
        match=r"org.example:no-such-jar:1.0 could not be downloaded.*HOMEOSTAT_KAFKA_JARS",
    ):
        ensure_jars(folder, lock=lock)
