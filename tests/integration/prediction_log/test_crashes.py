"""kill -9 of writer, shipper, sink and broker at 20 seeded moments; afterwards answered = lake, exactly. More in tests/chaos."""

from __future__ import annotations

import random
import time

from cli.broker import Broker
from tests.fakes.log_processes import LogProcesses


def test_twenty_kills_lose_nothing_and_repeat_nothing(processes: LogProcesses, kafka_broker: Broker) -> None:
    moments = random.Random(20131)
    victims = ["load"] * 6 + ["shipper"] * 6 + ["sink"] * 6 + ["broker"] * 2
    moments.shuffle(victims)
    processes.start("load", "shipper", "sink")
    for victim in victims:
        time.sleep(moments.uniform(0.05, 0.9))
        if victim == "broker":
            kafka_broker.kill()
            kafka_broker.start()
        else:
            processes.kill(victim)
            processes.start(victim)
    processes.stop("load")
    processes.wait_until_settled()
    processes.stop()
    processes.check_conservation(kills_of_load=victims.count("load"))
    assert len(processes.in_lake()) > 1000
