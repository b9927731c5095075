"""Two processes of one consumer group on a real broker: each judges its models, and when one is killed the other goes on."""

from __future__ import annotations

import signal
import time
from collections import Counter

from local_stack.kafka.broker import Broker
from services.drift.sharing.shards import shard_of, shards_of
from shared.contracts.topics import PREDICTIONS
from tests.integration.drift.processes import Process, Start, eventually, published
from tests.integration.drift.test_stream import Feed, feeding
from tests.unit.services.drift.world import World, minutes, ordinary

SHARED = {"HOMEOSTAT_DRIFT_SHARED": "true"}
OWNED = "homeostat_drift_owned_shards"
READ = "homeostat_drift_stream_last_poll_timestamp_seconds"
# A model of each partition of the topic.
MODELS = ("shared_a", "shared_b", "shared_c")


def judge_of(processes: dict[str, Process], model: str) -> str:
    """Which process counts the model's rows; empty for none. Never two of them."""
    series = f'homeostat_drift_stream_rows_total{{model="{model}"}}'
    found = [name for name, process in processes.items() if series in process.metrics()]
    assert len(found) <= 1, f"{model} is watched by {found}"
    return "".join(found)


def test_killed_process_is_taken_over_and_no_window_is_judged_twice_or_lost(
    world: World, kafka_broker: Broker, start: Start
) -> None:
    """Every model gets the same rows. One process is killed between the records of the change; all have the same verdicts."""
    assert {shard_of(model) % PREDICTIONS.partitions for model in MODELS} == {0, 1, 2}
    with feeding(world, kafka_broker) as make:
        feeds = {model: make(model) for model in MODELS}
        processes = {"first": start(kafka_broker.bootstrap, **SHARED)}
        eventually(lambda: processes["first"].metrics().get(OWNED) == 8, "the first has every shard")
        # New records are read from where the topic ends when the shards are taken over: not before the next whole poll.
        owned_at = time.time() + 1
        eventually(lambda: processes["first"].metrics().get(READ, 0) > owned_at, "the first reads")
        for feed in feeds.values():
            feed.send(ordinary(200, 2))
        eventually(lambda: all(judge_of(processes, model) for model in MODELS), "the first counts all")

        processes["second"] = start(kafka_broker.bootstrap, **SHARED)
        sizes = {len(shards_of({number}, PREDICTIONS.partitions)) for number in range(PREDICTIONS.partitions)}

        def owned() -> list[float]:
            return [process.metrics().get(OWNED, 0) for process in processes.values()]

        eventually(lambda: sum(owned()) == 8 and min(owned()) >= min(sizes), "they share the shards")
        for feed in feeds.values():
            feed.send(ordinary(100, 3, start=minutes(34)))
        eventually(lambda: all(judge_of(processes, model) for model in MODELS), "all are counted")
        judges = Counter(judge_of(processes, model) for model in MODELS)
        assert set(judges) == {"first", "second"}

        _break(feeds, minutes_from=51, seed=4, rows=30)
        processes.pop("first").end(signal.SIGKILL)
        _break(feeds, minutes_from=56, seed=5, rows=200)
        begun = time.monotonic()
        eventually(lambda: owned() == [8], "the second has every shard")
        print(f"taken over {time.monotonic() - begun:.1f} s after the kill")
        verdicts = {
            model: [one for one, _ in published(kafka_broker, model, 2, after_kill=True)] for model in MODELS
        }
        assert processes["second"].end() == 0
    found = {
        model: sorted(
            (one.detector, one.state, one.window_start, one.window_end, one.rows, one.top_drifted_features)
            for one in several
        )
        for model, several in verdicts.items()
    }
    assert all(several == found[MODELS[0]] for several in found.values()), found
    assert [len(several) for several in found.values()] == [2] * len(MODELS), "the stream's and the window's"
    ids = Counter(one.verdict_id for several in verdicts.values() for one in several)
    assert max(ids.values()) == 1, "no window is judged twice"


def _break(feeds: dict[str, Feed], *, minutes_from: float, seed: int, rows: int) -> None:
    for feed in feeds.values():
        broken = {**ordinary(rows, seed, start=minutes(minutes_from)), "x": [None] * rows}
        feed.send(broken)
