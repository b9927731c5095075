"""kill -9 of server, writer, shipper, sink and broker at 20 seeded times; afterwards answered = lake, exactly.

The server is the real one, asked over HTTP. The writer beside it has no model and no HTTP: it fills the spool faster than a
server on this machine could, and dies in the middle of appends more often. More of it in tests/chaos.
"""

from __future__ import annotations

import random
import time

import pytest

from local_stack.kafka.broker import Broker
from tests.fakes.log_processes import LogProcesses
from tests.integration.prediction_log.asked_server import AskedServer


@pytest.mark.timeout(600)
def test_twenty_kills_lose_nothing_and_repeat_nothing(processes: LogProcesses, kafka_broker: Broker) -> None:
    rng = random.Random(20131)
    # A server and a broker take ten times the CPU of the others to start; each kill of a server meets a request.
    victims = ["server"] * 4 + ["load"] * 5 + ["shipper"] * 5 + ["sink"] * 5 + ["broker"]
    rng.shuffle(victims)
    server = AskedServer(processes.home, processes.lake, f"{processes.model}-served")
    server.start()
    try:
        processes.start("load", "shipper", "sink")
        for victim in victims:
            if victim == "server":
                server.wait_for_answers()
            time.sleep(rng.uniform(0.05, 0.9))
            if victim == "server":
                server.kill()
                server.start()  # comes up while the next ones die
            elif victim == "broker":
                kafka_broker.kill()
                kafka_broker.start()
            else:
                processes.kill(victim)
                processes.start(victim)
        server.wait_for_answers()
    finally:
        server.stop()
    processes.stop("load")
    processes.wait_until_settled()
    processes.wait_for(server.all_answers_are_in_lake, "everything the server answered is in the lake")
    processes.stop()
    processes.check_conservation(kills_of_load=victims.count("load"))
    assert len(processes.in_lake()) > 1000
    server.check()
    assert len(server.answered) > 500
    assert server.cut_requests, "no kill ever met a request"
