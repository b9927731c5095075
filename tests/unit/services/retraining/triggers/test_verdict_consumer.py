"""The verdict consumer: no verdict is lost or handled twice, and an invalid one blocks nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from services.retraining.cause import Cause
from services.retraining.metrics import RetrainingMetrics
from services.retraining.triggers.dead_letters import VerdictDeadLetters
from services.retraining.triggers.verdict_consumer import VerdictConsumer
from shared.contracts.topics import VERDICTS
from shared.contracts.verdict import cause_key
from shared.errors import DependencyUnavailable, IntegrityError, NotFound
from shared.messaging.handling_journal import HandlingJournal
from shared.messaging.interfaces import Message, Partition
from shared.messaging.record_mac import RecordMac
from tests.fakes.kafka import FakeBroker
from tests.fakes.memory_journal import MemoryJournal
from tests.fakes.retraining_service import wait_for
from tests.unit.services.retraining.policy.test_decide import verdict

PLACE = Partition(VERDICTS.name, 0)
MAC = RecordMac([b"v" * 32])


class Handler:
    """Records causes; raises the configured errors first."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.raises: list[Exception] = []

    def __call__(self, cause: Cause) -> None:
        if self.raises:
            raise self.raises.pop()
        self.received.append(cause.key)


class MemoryDeadLetters(VerdictDeadLetters):
    """Remembers records and reasons."""

    def __init__(self) -> None:
        super().__init__(Path("no folder"), lambda: datetime.now(UTC))
        self.kept: list[tuple[int, str]] = []

    def add(self, message: Message, detail: str) -> None:
        self.kept.append((message.offset, detail))


class ImpatientEvent(Event):
    """Waits briefly, whatever the timeout."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(0.01)


class Ear:
    """A listener on a broker with memory."""

    def __init__(self) -> None:
        self.broker, self.handler, self.metrics = FakeBroker(), Handler(), RetrainingMetrics()
        self.dead_letters = MemoryDeadLetters()
        self.now = datetime.now(UTC)
        self.listener = self.another()

    def another(self, journal: HandlingJournal | None = None) -> VerdictConsumer:
        consumer = self.broker.consumer([VERDICTS.name], "homeostat-retraining")
        return VerdictConsumer(
            consumer,
            self.handler,
            MAC,
            self.metrics,
            Event(),
            lambda: self.now,
            journal or MemoryJournal(),
            self.dead_letters,
        )

    def publish(self, *days: int) -> list[str]:
        made = [verdict(day) for day in days]
        for one in made:
            self.put(one.model_dump_json().encode())
        return [one.verdict_id for one in made]

    def put(self, value: bytes, mac: RecordMac = MAC) -> None:
        self.broker.put(VERDICTS.name, b"toy", value, [mac.header(VERDICTS.name, b"toy", value, [])])

    @property
    def committed(self) -> int:
        return self.broker.committed.get("homeostat-retraining", {}).get(PLACE, 0)

    def count(self, result: str) -> float:
        return (
            self.metrics.registry.get_sample_value("homeostat_retraining_verdicts_total", {"result": result})
            or 0.0
        )


def test_offsets_are_committed_after_the_ledger_write() -> None:
    ear = Ear()
    keys = ear.publish(1, 2, 3)
    assert ear.listener.consume_once(0.1) == 3
    assert (ear.handler.received, ear.committed, ear.count("received")) == (keys, 3, 3.0)


def test_unavailable_ledger_loses_no_verdict() -> None:
    ear = Ear()
    keys = ear.publish(1, 2, 3)
    ear.handler.raises = [DependencyUnavailable("no ledger")]
    with pytest.raises(DependencyUnavailable):
        ear.listener.consume_once(0.1)
    assert (ear.handler.received, ear.committed) == ([], 0)
    ear.another().consume_once(0.1)
    assert (ear.handler.received, ear.committed) == (keys, 3)


def test_records_before_a_failure_are_committed() -> None:
    ear = Ear()
    keys = ear.publish(1, 2, 3)

    class Second(Handler):
        def __call__(self, cause: Cause) -> None:
            if len(self.received) == 1 and not self.raises:
                self.raises = [DependencyUnavailable("no ledger")]
                raise self.raises[0]
            self.received.append(cause.key)

    handler = Second()
    listener = VerdictConsumer(
        ear.broker.consumer([VERDICTS.name], "homeostat-retraining"),
        handler,
        MAC,
        ear.metrics,
        Event(),
        lambda: ear.now,
        MemoryJournal(),
        ear.dead_letters,
    )
    with pytest.raises(DependencyUnavailable):
        listener.consume_once(0.1)
    assert ear.committed == 1
    ear.another().consume_once(0.1)
    assert ear.handler.received == keys[1:]


def test_failed_record_is_read_again() -> None:
    """Its consumer has read past the verdict already: without going back, the next good poll would commit past it."""
    ear, stop = Ear(), ImpatientEvent()
    keys = ear.publish(1, 2, 3)
    ear.handler.raises = [DependencyUnavailable("no ledger")]
    consumer = ear.broker.consumer([VERDICTS.name], "homeostat-retraining")
    listener = VerdictConsumer(
        consumer, ear.handler, MAC, ear.metrics, stop, lambda: ear.now, MemoryJournal(), ear.dead_letters
    )
    listener.start()
    try:
        wait_for(lambda: len(ear.handler.received) >= 3, 10, "the three verdicts to be received")
        wait_for(lambda: ear.committed == 3, 10, "their offsets to be kept")
    finally:
        stop.set()
        listener.join()
    assert ear.handler.received == keys


def test_invalid_verdict_is_counted_and_skipped() -> None:
    ear = Ear()
    ear.put(b"{not json")
    keys = ear.publish(1)
    assert ear.listener.consume_once(0.1) == 2
    assert (ear.handler.received, ear.committed, ear.count("unreadable")) == (keys, 2, 1.0)


@pytest.mark.parametrize(
    "problem", [NotFound("that version was deleted"), IntegrityError("its manifest was changed")]
)
def test_refused_verdict_does_not_block_others(problem: Exception) -> None:
    ear = Ear()
    keys = ear.publish(1, 2)
    ear.handler.raises = [problem]
    assert ear.listener.consume_once(0.1) == 2
    assert (ear.handler.received, ear.count("refused")) == (keys[1:], 1.0)


def test_forged_verdict_starts_nothing() -> None:
    ear = Ear()
    forged = verdict(1).model_dump_json().encode()
    ear.broker.put(VERDICTS.name, b"toy", forged, [])
    ear.put(forged, RecordMac([b"s" * 32]))
    keys = ear.publish(2)
    assert ear.listener.consume_once(0.1) == 3
    assert (ear.handler.received, ear.committed, ear.count("unauthenticated")) == (keys, 3, 2.0)


@pytest.mark.parametrize("identity", ["../../elsewhere", "0" * 32, ""])
def test_verdict_with_an_id_of_something_else_starts_nothing(identity: str) -> None:
    """The id becomes the name of a folder, which must be a new one."""
    ear = Ear()
    wrong = verdict(1).model_copy(update={"verdict_id": identity})
    ear.put(wrong.model_dump_json().encode())
    keys = ear.publish(2)
    ear.listener.consume_once(0.1)
    assert (ear.handler.received, ear.count("refused")) == (keys, 1.0)


def test_verdict_about_no_possible_model_is_refused() -> None:
    ear = Ear()
    key = cause_key("../toy", "performance", verdict(1).version, verdict(1).window_end)
    wrong = verdict(1).model_copy(update={"model": "../toy", "verdict_id": key})
    ear.put(wrong.model_dump_json().encode())
    ear.listener.consume_once(0.1)
    assert (ear.handler.received, ear.count("refused")) == ([], 1.0)


def test_verdict_from_the_future_starts_nothing() -> None:
    """It would be the newest event time there is, and stop every schedule until then."""
    ear = Ear()
    ear.now = verdict(5).window_end
    keys = ear.publish(6, 7)
    ear.listener.consume_once(0.1)
    assert (ear.handler.received, ear.count("refused")) == (keys[:1], 1.0)


def test_verdict_with_unknown_error_is_set_aside_after_a_minute() -> None:
    ear = Ear()
    keys = ear.publish(1, 2)
    for _ in range(10):
        ear.handler.raises = [RuntimeError("a fault of ours")]
        with pytest.raises(RuntimeError):
            ear.listener.consume_once(0.1)
        ear.listener._consumer.rewind()
    ear.now += timedelta(minutes=1)
    ear.handler.raises = [RuntimeError("a fault of ours")]
    assert ear.listener.consume_once(0.1) == 2
    assert (ear.handler.received, ear.committed, ear.count("set_aside")) == (keys[1:], 2, 1.0)
    [(offset, detail)] = ear.dead_letters.kept
    assert (offset, detail.startswith("every attempt failed, the last with error ")) == (0, True)


def test_few_attempts_do_not_set_a_verdict_aside() -> None:
    ear = Ear()
    ear.publish(1)
    for _ in range(4):
        ear.handler.raises = [RuntimeError("a fault of ours")]
        with pytest.raises(RuntimeError):
            ear.listener.consume_once(0.1)
        ear.listener._consumer.rewind()
        ear.now += timedelta(minutes=1)
    assert (ear.committed, ear.count("set_aside")) == (0, 0.0)


def test_consumer_waits_without_broker() -> None:
    ear = Ear()
    ear.broker.down = True
    assert ear.listener.consume_once(0.01) == 0


class Died(BaseException):
    """The process was killed."""


class Deadly(Handler):
    """Dies of one verdict."""

    def __init__(self, of: str) -> None:
        super().__init__()
        self.of = of

    def __call__(self, cause: Cause) -> None:
        if cause.key == self.of:
            raise Died
        super().__call__(cause)


def test_verdict_that_kills_the_process_again_and_again_is_set_aside(tmp_path: Path) -> None:
    ear = Ear()
    keys = ear.publish(1, 2, 3)
    ear.handler = Deadly(keys[1])
    for _ in range(3):
        with pytest.raises(Died):
            ear.another(HandlingJournal(tmp_path / "verdicts.json")).consume_once(0.1)
        ear.broker.committed.get("homeostat-retraining", {}).clear()  # it died before that, too
    assert ear.another(HandlingJournal(tmp_path / "verdicts.json")).consume_once(0.1) == 3
    assert ear.handler.received == [keys[0]] * 4 + [keys[2]]
    assert (ear.committed, ear.count("set_aside")) == (3, 1.0)
    assert ear.dead_letters.kept == [(1, "its handling ended the process 3 times")]
