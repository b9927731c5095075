"""The topics: names, partitions and event types that other programs rely on."""

from __future__ import annotations

import re

from shared.contracts import topics


def test_every_topic_of_the_module_is_in_the_list() -> None:
    declared = {value for value in vars(topics).values() if isinstance(value, topics.Topic)}
    assert set(topics.ALL) == declared
    assert len(topics.ALL) == len(declared)


def test_names_and_types_are_ours_and_differ() -> None:
    assert all(re.fullmatch(r"homeostat\.[a-z_]+", topic.name) for topic in topics.ALL)
    assert all(re.fullmatch(r"homeostat(\.[a-z]+){2}\.v\d+", topic.event_type) for topic in topics.ALL)
    assert (
        len({topic.name for topic in topics.ALL})
        == len({topic.event_type for topic in topics.ALL})
        == len(topics.ALL)
    )


def test_verdicts_keep_their_order() -> None:
    """Verdicts of one model are decided on in the order they were reached: one partition."""
    assert topics.VERDICTS.partitions == 1
    assert {topic.partitions for topic in (topics.PREDICTIONS, topics.OUTCOMES)} == {3}
