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
from tests.integration.prediction_log.asked_server import AskedServer

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


def test_full_spool_that_refuses_is_exact_under_kills(processes: LogProcesses, kafka_broker: Broker) -> None:
    """Answered = lake, and refused = counted drops: a kill leaves at most the requests that it cut off beside them."""
    rng = random.Random(11)
    server = AskedServer(
        processes.home,
        processes.lake,
        f"{processes.model}-served",
        HOMEOSTAT_INFERENCE_SPOOL_FULL="refuse",
        HOMEOSTAT_INFERENCE_SPOOL_BYTES=str(1 << 20),
    )
    server.start()
    try:
        processes.start("shipper", "sink")
        server.wait_for_answers()
        for _ in range(4):
            kafka_broker.kill()
            refused = server.refused_rows
            processes.wait_for(lambda refused=refused: server.refused_rows > refused + 60, "refusals")  # type: ignore[misc]
            processes.kill("shipper")
            processes.start("shipper")
            kafka_broker.start()
            time.sleep(rng.uniform(0.5, 2))
            server.wait_for_answers()
            server.kill()
            server.start()
            server.wait_for_answers()
    finally:
        server.stop()
    processes.wait_for(server.all_answers_are_in_lake, "everything the server answered is in the lake", 120)
    processes.stop()
    server.check()
    cut = 3 * len(server.cut_requests)
    assert server.refused_rows > 240
    assert 0 <= processes.dropped_on_disk(server.model) - server.refused_rows <= cut
    assert 0 <= processes.dropped_on_disk(server.model, "outcomes") - server.refused_outcomes <= cut
