from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.retraining.triggers.dead_letters import MAX_LETTERS, MAX_VALUE_BYTES, VerdictDeadLetters
from shared.contracts.topics import VERDICTS
from shared.errors import NotFound
from shared.messaging.interfaces import Message, Partition

PLACE = Partition(VERDICTS.name, 0)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def letters(tmp_path: Path) -> VerdictDeadLetters:
    return VerdictDeadLetters(tmp_path / "dead", Clock())


def message(offset: int, value: bytes = b"{}") -> Message:
    return Message(PLACE, offset, None, value, [("homeostat-mac", b"\xff"), ("empty", b"")])


def test_record_is_kept_unchanged_and_private(letters: VerdictDeadLetters, tmp_path: Path) -> None:
    sent = message(7, b'{"model":"toy","verdict_id":"ab","x":"\xff"}')
    letters.add(sent, "it failed")
    letters.add(sent, "it failed")  # delivered again
    [found] = letters.newest_first()
    assert found.message == sent
    assert letters.read(found.name) == found
    assert (found.model, found.verdict_id, found.detail) == ("", "", "it failed")  # it is not UTF-8
    [path] = (tmp_path / "dead").iterdir()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_newest_are_kept_and_shown_first(letters: VerdictDeadLetters) -> None:
    for offset in range(MAX_LETTERS + 3):
        letters.add(message(offset, b'{"model":"toy","verdict_id":"ab"}'), "it failed")
    found = letters.newest_first()
    assert [one.message.offset for one in found] == list(range(MAX_LETTERS + 2, 2, -1))
    assert (found[0].model, found[0].verdict_id) == ("toy", "ab")


def test_removed_is_gone(letters: VerdictDeadLetters) -> None:
    letters.add(message(1), "it failed")
    [found] = letters.newest_first()
    letters.remove(found.name)
    assert letters.newest_first() == []
    with pytest.raises(NotFound):
        letters.remove(found.name)


@pytest.mark.parametrize("name", ["", "../secret", "a" * 16, "A" * 16, "a" * 17, "%2e%2e", "x\0"])
def test_other_names_are_not_found(letters: VerdictDeadLetters, tmp_path: Path, name: str) -> None:
    letters.add(message(1), "it failed")
    [path] = (tmp_path / "dead").iterdir()
    (tmp_path / "secret.json").write_bytes(path.read_bytes())  # a dead letter, but of another folder
    with pytest.raises(NotFound):
        letters.read(name)


def test_what_is_no_dead_letter_is_left_out(letters: VerdictDeadLetters, tmp_path: Path) -> None:
    letters.add(message(1), "it failed")
    (tmp_path / "dead" / f"{'b' * 16}.json").write_text("[")
    (tmp_path / "dead" / f"{'c' * 16}.json").symlink_to("/etc/hostname")
    assert len(letters.newest_first()) == 1


def test_record_that_cannot_be_kept_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "dead").write_text("a file")
    letters = VerdictDeadLetters(tmp_path / "dead", Clock())
    letters.add(message(1), "it failed")
    assert letters.newest_first() == []
    large = VerdictDeadLetters(tmp_path / "large", Clock())
    large.add(message(1, b"x" * (MAX_VALUE_BYTES + 1)), "it failed")
    assert large.newest_first() == []


def test_one_that_is_removed_meanwhile_is_no_failure(
    letters: VerdictDeadLetters, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a request that discards it while the next one comes."""
    found = Path.glob
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [*found(folder, pattern), folder / "gone.json"])
    letters.add(message(1), "it failed")
    assert "verdict_not_kept" not in capsys.readouterr().out
    assert len(letters.newest_first()) == 1
