"""The broker's properties: what the rest of Homeostat relies on."""

from __future__ import annotations

import base64
from pathlib import Path

from local_stack.kafka.config_files import (
    BrokerFiles,
    minimum_in_sync,
    new_cluster_id,
    properties,
    write_files,
)


def test_properties_name_ports_host_and_data(tmp_path: Path) -> None:
    place = BrokerFiles(tmp_path, port=19092, controller_port=19093, host="127.0.0.5")
    lines = dict(line.split("=", 1) for line in properties(place).splitlines())
    assert lines["listeners"] == "PLAINTEXT://127.0.0.5:19092,CONTROLLER://127.0.0.5:19093"
    assert lines["controller.quorum.voters"] == "1@127.0.0.5:19093"
    assert lines["log.dirs"] == str(tmp_path / "data")
    assert lines["auto.create.topics.enable"] == "false"


def test_retention_counts_from_arrival(tmp_path: Path) -> None:
    assert "log.message.timestamp.type=LogAppendTime\n" in properties(BrokerFiles(tmp_path, 1, 2))


def test_idle_controller_writes_few_records(tmp_path: Path) -> None:
    assert "metadata.max.idle.interval.ms=5000\n" in properties(BrokerFiles(tmp_path, 1, 2))


def test_killed_broker_may_register_again_soon(tmp_path: Path) -> None:
    """Once the session of the killed one is over, at its next attempt; several heartbeats may be late before that."""
    lines = properties(BrokerFiles(tmp_path, port=9092, controller_port=9093)).splitlines()
    pairs = (line.split("=", 1) for line in lines if line.startswith("broker."))
    found = {name: int(value) for name, value in pairs}
    session, heartbeat = found["broker.session.timeout.ms"], found["broker.heartbeat.interval.ms"]
    assert session + heartbeat <= 5000
    assert session / heartbeat >= 4


def test_node_of_a_cluster_knows_the_others_and_keeps_three_copies(tmp_path: Path) -> None:
    controllers = {number: f"127.0.0.1:{9092 + number}" for number in (1, 2, 3, 4)}
    place = BrokerFiles(tmp_path, 9092, 9094, node_id=2, cluster_id="x" * 22, controllers=controllers)
    lines = dict(line.split("=", 1) for line in properties(place).splitlines())
    assert lines["node.id"] == "2"
    assert lines["controller.quorum.voters"] == (
        "1@127.0.0.1:9093,2@127.0.0.1:9094,3@127.0.0.1:9095,4@127.0.0.1:9096"
    )
    copies = {name: value for name, value in lines.items() if name.endswith("replication.factor")}
    assert set(copies.values()) == {"3"}
    assert {"default.replication.factor", "offsets.topic.replication.factor"} <= set(copies)
    in_sync = {name: value for name, value in lines.items() if name.endswith(("min.isr", "insync.replicas"))}
    assert set(in_sync.values()) == {"2"}
    assert len(in_sync) == 3


def test_single_node_keeps_one_copy_of_everything(tmp_path: Path) -> None:
    lines = dict(line.split("=", 1) for line in properties(BrokerFiles(tmp_path, 1, 2)).splitlines())
    assert {value for name, value in lines.items() if name.endswith(("replication.factor", "min.isr"))} == {
        "1"
    }
    assert "default.replication.factor" not in lines


def test_majority_of_three_or_more_copies_is_required() -> None:
    assert {copies: minimum_in_sync(copies) for copies in (0, 1, 2, 3, 4, 5)} == {
        0: 0,
        1: 0,
        2: 0,
        3: 2,
        4: 3,
        5: 3,
    }


def test_files_are_rewritten_and_data_is_kept(tmp_path: Path) -> None:
    place = BrokerFiles(tmp_path / "kafka", 1, 2)
    write_files(place)
    assert not place.is_formatted
    place.data.mkdir()
    (place.data / "meta.properties").write_text("x")
    write_files(BrokerFiles(tmp_path / "kafka", 3, 4))
    assert place.is_formatted
    assert ":3," in place.properties_file.read_text()


def test_cluster_id_does_not_start_with_a_dash() -> None:
    """One in 64 would begin with a dash."""
    assert not [each for each in (new_cluster_id() for _ in range(2000)) if each.startswith("-")]


def test_cluster_ids_are_sixteen_bytes_and_differ() -> None:
    first, second = new_cluster_id(), new_cluster_id()
    assert len(base64.urlsafe_b64decode(first + "==")) == 16
    assert first != second
