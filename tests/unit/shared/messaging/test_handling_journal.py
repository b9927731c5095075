from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from shared.messaging.handling_journal import HandlingJournal, open_journal
from shared.messaging.interfaces import Message, Partition


class Died(BaseException):
    """The process was killed: no handler runs."""


def messages(*offsets: int, partition: int = 0) -> list[Message]:
    return [Message(Partition("verdicts", partition), offset, None, b"", []) for offset in offsets]


def offsets(groups: list[list[Message]]) -> list[list[int]]:
    return [[message.offset for message in group] for group in groups]


def die_at(path: Path, killer: int, polled: list[Message]) -> tuple[list[int], list[int]]:
    """Handle records as a consumer does, and die at one of them; what was handled, and what was set aside."""
    journal = HandlingJournal(path)
    handled: list[int] = []
    aside: list[int] = []
    for group in journal.groups(polled):
        with journal.handling(group):
            for message in group:
                if journal.is_given_up(message):
                    aside.append(message.offset)
                elif message.offset == killer:
                    raise Died
                else:
                    handled.append(message.offset)
    return handled, aside


def test_record_that_ends_the_process_three_times_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.json"
    polled = messages(5, 6, 7, 8)
    for _ in range(3):
        with pytest.raises(Died):
            die_at(path, 7, polled)
    assert die_at(path, 7, polled) == ([5, 6, 8], [7])
    assert not path.exists(), "nothing is suspected any more"
    assert die_at(path, 99, polled) == ([5, 6, 7, 8], [])


def test_records_beside_it_are_handled_alone(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.json"
    polled = messages(5, 6, 7, 8)
    with pytest.raises(Died):
        die_at(path, 7, polled)
    journal = HandlingJournal(path)
    assert offsets(list(journal.groups([*polled, *messages(9, 10)]))) == [[5], [6], [7], [8], [9, 10]]
    assert offsets(list(journal.groups(messages(5, 6, partition=1)))) == [[5, 6]]
    for _ in range(2):
        with pytest.raises(Died):
            die_at(path, 7, polled)
    assert [HandlingJournal(path).is_given_up(message) for message in polled] == [False, False, True, False]


def test_caught_errors_and_finished_records_are_no_deaths(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.json"
    journal = HandlingJournal(path)
    for _ in range(5):
        with suppress(ZeroDivisionError), journal.handling(messages(1, 2)):
            assert path.exists()
            raise ZeroDivisionError
        assert not path.exists()
    with journal.handling(messages(1, 2)):
        pass
    assert not path.exists()
    assert offsets(list(HandlingJournal(path).groups(messages(1, 2)))) == [[1, 2]]


@pytest.mark.parametrize("content", [b"no JSON", b"[]", b'{"begun": [{}], "suspects": []}'])
def test_unreadable_file_counts_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "verdicts.json"
    path.write_bytes(content)
    with structlog.testing.capture_logs() as logs:
        assert die_at(path, 99, messages(1)) == ([1], [])
    assert [entry["event"] for entry in logs] == ["handling_journal_unreadable"]


def test_folder_that_cannot_be_written_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with structlog.testing.capture_logs() as logs:
        journal = open_journal(tmp_path / "file" / "run", "verdicts")
        for number in range(3):
            with journal.handling(messages(number)):
                pass
    assert [entry["event"] for entry in logs] == ["deaths_of_the_process_not_counted"]


KILLED = """
import os, signal, sys
from pathlib import Path
from shared.messaging.handling_journal import open_journal
from shared.messaging.interfaces import Message, Partition
journal = open_journal(Path(sys.argv[1]), "sink")
print(journal._path.name, flush=True)
with journal.handling([Message(Partition("predictions", 0), 3, None, b"", [])]):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_processes_leave_their_count_to_the_next_one(tmp_path: Path) -> None:
    for _ in range(3):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, env={**os.environ}
        )
        assert (killed.returncode, killed.stdout.splitlines()[-1]) == (-9, "sink.0.json"), killed.stderr
    first = open_journal(tmp_path, "sink")
    record = Message(Partition("predictions", 0), 3, None, b"", [])
    assert first.is_given_up(record)
    second = open_journal(tmp_path, "sink")
    assert not second.is_given_up(record), "another process at the same time has a file of its own"
