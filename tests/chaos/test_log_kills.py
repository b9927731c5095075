"""The long form: more load, more writers' deaths, frozen processes, for several seeds. `make chaos`."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.kafka.broker import Broker
from tests.fakes.log_processes import LogProcesses

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


@pytest.fixture
def processes(tmp_path: Path, kafka_broker: Broker) -> Iterator[LogProcesses]:
    processes = LogProcesses(tmp_path, kafka_broker.bootstrap, rows_per_second=1000)
    yield processes
    processes.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sixty_kills_and_freezes_lose_nothing_and_repeat_nothing(
    processes: LogProcesses, kafka_broker: Broker, seed: int
) -> None:
    rng = random.Random(seed)
    processes.start("load", "shipper", "sink")
    kills_of_load = 0
    for _ in range(60):
        time.sleep(rng.uniform(0.02, 1.0))
        fault = rng.choice(
            ["load", "load", "shipper", "shipper", "shipper", "sink", "sink", "sink", "broker", "freeze"]
        )
        if fault == "broker":
            kafka_broker.kill()
            time.sleep(rng.uniform(0, 6))
            kafka_broker.start()
        elif fault == "freeze":
            # Accepts connections and answers nothing, longer than a record may take to be acknowledged.
            assert kafka_broker.pid is not None
            os.kill(kafka_broker.pid, signal.SIGSTOP)
            time.sleep(rng.uniform(1, 8))
            os.kill(kafka_broker.pid, signal.SIGCONT)
        else:
            kills_of_load += fault == "load"
            processes.kill(fault)
            processes.start(fault)
    processes.stop("load")
    processes.wait_until_settled(180)
    processes.stop()
    processes.check_conservation(kills_of_load=kills_of_load)


def test_two_sinks_of_which_one_sleeps_through_a_rebalance_write_each_row_once(
    processes: LogProcesses, tmp_path: Path
) -> None:
    """The zombie: frozen past its session, its partitions go to the other, then it wakes up with rows in hand."""
    rng = random.Random(7)
    processes.start("load", "shipper", "sink")
    beside = LogProcesses(tmp_path, "")
    beside.model = processes.model
    beside._environment = processes._environment
    beside.start("sink")
    try:
        for _ in range(4):
            victim = rng.choice([processes, beside])._running["sink"]
            time.sleep(rng.uniform(0.5, 2))
            victim.send_signal(signal.SIGSTOP)
            time.sleep(9)
            victim.send_signal(signal.SIGCONT)
        processes.stop("load")
        processes.wait_until_settled(120)
    finally:
        beside.close()
    processes.stop()
    processes.check_conservation(kills_of_load=0)
