from __future__ import annotations

import sqlite3

import pytest

from services.drift.sharing.ownership import SharedModels
from services.drift.sharing.shards import shard_of
from services.drift.verdicts import publisher
from shared.contracts.verdict import Verdict
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.verdicts.test_store import verdict


def test_verdicts_go_out_in_the_order_they_were_reached(installation: Installation) -> None:
    wanted = [verdict(180), verdict(60), verdict(120)]
    for each in wanted:
        installation.verdicts.put(each)
    assert installation.publisher.publish() == 3
    assert installation.topic.records == wanted
    assert installation.publisher.publish() == 0


def test_verdicts_keep_their_order_without_kafka(installation: Installation) -> None:
    installation.topic.refuse = 2
    for end in (60, 120):
        installation.verdicts.put(verdict(end))
    assert installation.publisher.publish() == 0
    assert installation.metrics.registry.get_sample_value("homeostat_drift_unpublished_verdicts") == 2
    assert installation.publisher.publish() == 0
    assert installation.publisher.publish() == 2
    assert installation.topic.records == [verdict(60), verdict(120)]
    assert installation.metrics.registry.get_sample_value("homeostat_drift_unpublished_verdicts") == 0


def test_a_verdict_the_topic_will_never_take_holds_up_no_other(installation: Installation) -> None:
    installation.topic.too_large = {verdict(60).verdict_id}
    for end in (60, 120):
        installation.verdicts.put(verdict(end))
    assert installation.publisher.publish() == 1
    assert installation.topic.records == [verdict(120)]
    assert installation.verdicts.count_unpublished() == 0
    assert installation.verdicts.get(verdict(60).verdict_id) == verdict(60)


def test_a_row_that_cannot_be_read_holds_up_no_other(installation: Installation) -> None:
    installation.verdicts.put(verdict(60))
    spoil(installation, verdict(60))
    installation.verdicts.put(verdict(120))
    assert installation.publisher.publish() == 1
    assert installation.topic.records == [verdict(120)]


def spoil(installation: Installation, stored: Verdict) -> None:
    """Let a row say what an older drift may have written."""
    with sqlite3.connect(installation.world.home / "drift" / "verdicts.sqlite") as connection:
        connection.execute(
            "UPDATE verdicts SET body = ? WHERE verdict_id = ?", ('{"threshold": null}', stored.verdict_id)
        )
    connection.close()


def test_a_crash_between_sending_and_marking_sends_the_same_verdict_again(installation: Installation) -> None:
    installation.verdicts.put(verdict(60))
    installation.topic.crash = True
    with pytest.raises(SystemExit):
        installation.publisher.publish()
    installation.topic.crash = False
    installation.verdicts.close()
    installation.restart()
    installation.publisher.publish()
    assert installation.topic.records == [verdict(60), verdict(60)]
    assert installation.publisher.publish() == 0


def test_verdicts_of_other_processes_are_left_to_them(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "BATCH", 2)
    share = SharedModels(installation.world.home / "shards", streams=False)
    share.follow(frozenset({shard_of("toy")}), 0.0)
    for end in (60, 120, 180):  # more than one batch before the first of this process
        installation.verdicts.put(verdict(end, model="other"))
    installation.verdicts.put(verdict(60))
    own = publisher.Publisher(installation.topic, installation.verdicts, installation.metrics, 0.01, share)
    assert own.publish() == 1
    assert installation.topic.records == [verdict(60)]
    assert installation.verdicts.count_unpublished() == 3
    share.follow(frozenset({shard_of("other")}), 0.0)
    assert own.publish() == 3
