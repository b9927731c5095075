"""Following the release log on a real server: swaps, refusals, several models, memory."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from shared.contracts.version_files.names import ARCHIVE, MODEL
from shared.spool import PredictionRecord
from tests.fakes.linear_model import put_linear
from tests.fakes.toy_model import ROW, ToyStore, toy_onnx
from tests.integration.inference.conftest import InferenceProcess, spooled
from tests.waiting import bound


def test_starts_without_model(server: InferenceProcess, toys: ToyStore) -> None:
    assert server.http.get("/health/ready").status_code == 503
    assert server.http.get("/v2/health/ready").json() == {"ready": False, "live": True}
    answer = server.http.post("/predict", json={"rows": [ROW]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")

    release = toys.put_and_release(1.0)
    server.wait_served(release.version)

    assert server.http.get("/health/ready").status_code == 200
    answer = server.http.post("/predict", json={"rows": [ROW]}).json()
    assert (answer["version"], answer["generation"], answer["predictions"][0]["score"]) == (
        release.version,
        1,
        1.0,
    )


class RequestThread(threading.Thread):
    """Sends requests without a pause until stopped; notes each answer's status, version, generation and scores."""

    def __init__(self, url: str, model: str = "toy", row: dict[str, Any] = ROW) -> None:
        super().__init__(daemon=True)
        self.body = {"model": model, "rows": [row] * 3}
        self.client = httpx.Client(base_url=url, timeout=20)
        self.enough = threading.Event()
        self.answers: list[tuple[str, int, tuple[float, ...], tuple[str, ...]]] = []
        self.failures: list[str] = []

    def run(self) -> None:
        with self.client:
            while not self.enough.is_set():
                try:
                    answer = self.client.post("/predict", json=self.body)
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                    continue
                if answer.status_code != 200:
                    self.failures.append(answer.text)
                    continue
                body = answer.json()
                rows = body["predictions"]
                self.answers.append(
                    (
                        body["version"],
                        body["generation"],
                        tuple(row["score"] for row in rows),
                        tuple(row["prediction_id"] for row in rows),
                    )
                )


def test_swaps_under_load_drop_and_mix_nothing(server: InferenceProcess, toys: ToyStore) -> None:
    versions = {score: toys.put(score).version for score in (2.0, 3.0, 4.0)}
    request_threads = [RequestThread(server.url) for _ in range(2)]
    for request_thread in request_threads:
        request_thread.start()
    released = {}
    for score in (2.0, 3.0, 4.0, 2.0):  # the last one is a rollback: an older version under a new generation
        release = toys.release(versions[score])
        released[release.generation] = (release.version, score)
        server.wait_generation(release.generation)
    time.sleep(0.2)
    for request_thread in request_threads:
        request_thread.enough.set()
    for request_thread in request_threads:
        request_thread.join(timeout=bound(20))

    answers = [answer for request_thread in request_threads for answer in request_thread.answers]
    assert [failure for request_thread in request_threads for failure in request_thread.failures] == []
    seen = Counter(generation for _, generation, _, _ in answers)
    assert set(released) <= set(seen)
    for version, generation, scores, _ in answers:
        if generation in released:
            assert (version, scores) == (released[generation][0], (released[generation][1],) * 3)
    for request_thread in request_threads:
        generations = [generation for _, generation, _, _ in request_thread.answers]
        assert generations == sorted(generations)
    server.wait(
        lambda: server.metric('homeostat_inference_loaded_versions{model="toy"}') == 1,
        "old versions are unloaded",
        10,
    )

    answered = {
        identity: (version, generation) for version, generation, _, ids in answers for identity in ids
    }
    logged = {
        identity: (record.version, record.generation)
        for record in spooled(toys.home)
        if isinstance(record, PredictionRecord)
        for identity in record.prediction_ids
    }
    assert answered.items() <= logged.items()


def test_canary_and_shadow_under_load_drop_and_mix_nothing(server: InferenceProcess, toys: ToyStore) -> None:
    live, canary = toys.put_and_release(2.0), toys.put(3.0)
    server.wait_generation(live.generation)
    load = RequestThread(server.url)
    load.start()
    started = [toys.start(canary.version, "shadow"), toys.start(canary.version, share=0.5)]
    server.wait(
        lambda: (
            [side["generation"] for side in server.served()["sides"]]
            == [one.generation for one in reversed(started)]
        ),
        "canary and shadow are loaded",
        30,
    )
    server.wait(lambda: len({answer[1] for answer in load.answers[-20:]}) == 2, "both answer", 30)
    back = toys.release(live.version)  # as a rollback does: it ends both
    server.wait_generation(back.generation)
    assert server.served()["sides"] == []
    server.wait(lambda: {answer[1] for answer in load.answers[-5:]} == {back.generation}, "live answers", 30)
    load.enough.set()
    load.join(timeout=bound(20))

    assert load.failures == []
    known = {
        generation: (version, (score,) * 3)
        for generation, version, score in (
            (live.generation, live.version, 2.0),
            (started[1].generation, canary.version, 3.0),
            (back.generation, live.version, 2.0),
        )
    }
    for version, generation, scores, _ in load.answers:
        assert generation < live.generation or (version, scores) == known[generation]
    slots = {live.generation: "live", started[1].generation: "canary", back.generation: "live"}
    logged = {
        identity: (record.version, record.generation, record.slot)
        for record in spooled(toys.home)
        if isinstance(record, PredictionRecord)
        for identity in record.prediction_ids
    }
    for version, generation, _, ids in load.answers:
        expected = (version, generation, slots.get(generation, "live"))
        assert all(logged[identity] == expected for identity in ids)
    # The shadow's answers are in no log.
    assert {generation for _, generation, _ in logged.values()}.isdisjoint({started[0].generation})
    name = f'model="toy",result="answered",slot="shadow",version="{canary.version[:12]}"'
    assert server.metric(f"homeostat_inference_slot_requests_total{{{name}}}") > 0


def test_tampered_version_is_refused(server: InferenceProcess, toys: ToyStore) -> None:
    before = server.served()
    manifest = toys.put(5.0)
    folder = toys.home / "models" / "toy" / "versions" / manifest.version
    (folder / "model.onnx").write_bytes(toy_onnx(6.0))
    toys.release(manifest.version)

    server.wait(lambda: "digest" in server.served()["last_error"], "the refusal shows in the status", 30)
    assert_still_serves(server, before["version"], before["generation"])
    assert server.metric('homeostat_inference_swaps_total{model="toy",result="failed"}') >= 1


def test_signature_of_another_key_is_refused(
    server: InferenceProcess, toys: ToyStore, tmp_path: Path
) -> None:
    before = server.served()
    stranger = ToyStore(tmp_path / "stranger")
    manifest = stranger.put(7.0)
    toys.store.put_version("toy", manifest.version, tmp_path / "stranger" / "drafts" / "1" / "version")
    toys.release(manifest.version)

    server.wait(lambda: "signature" in server.served()["last_error"], "the refusal shows in the status", 30)
    assert_still_serves(server, before["version"], before["generation"])


def test_broken_model_then_good_release(server: InferenceProcess, toys: ToyStore) -> None:
    before = server.served()
    toys.put_and_release(8.0, raw=toy_onnx(8.0, lacking="colour"))
    server.wait(
        lambda: "inputs missing: colour" in server.served()["last_error"],
        "the refusal shows in the status",
        30,
    )
    assert_still_serves(server, before["version"], before["generation"])

    release = toys.put_and_release(9.0)
    server.wait_served(release.version)
    assert server.served()["last_error"] == ""
    assert server.http.post("/predict", json={"rows": [ROW]}).json()["predictions"][0]["score"] == 9.0


def test_serves_while_store_is_unavailable(server: InferenceProcess, toys: ToyStore) -> None:
    before = server.served()
    models = toys.home / "models"
    models.rename(toys.home / "away")
    try:
        time.sleep(0.5)
        assert_still_serves(server, before["version"], before["generation"])
    finally:
        shutil.rmtree(models, ignore_errors=True)
        (toys.home / "away").rename(models)
    release = toys.put_and_release(10.0)
    server.wait_served(release.version)


def test_several_models_side_by_side(server: InferenceProcess, toys: ToyStore) -> None:
    other = toys.put_and_release(20.0, model="other")
    server.wait_served(other.version, "other")

    answer = server.http.post("/predict", json={"rows": [ROW]})
    assert (answer.status_code, answer.json()["field"]) == (400, "model")
    assert (
        server.http.post("/predict", json={"model": "other", "rows": [ROW]}).json()["predictions"][0]["score"]
        == 20.0
    )
    assert (
        server.http.post("/predict", json={"model": "toy", "rows": [ROW]}).json()["version"]
        == server.served()["version"]
    )


def test_memory_stays_flat_over_swaps(server: InferenceProcess, toys: ToyStore) -> None:
    heavy = 4_000_000  # floats: 16 MB a version
    versions = [toys.put(score, raw=toy_onnx(score, weights=heavy)).version for score in (31.0, 32.0)]

    def swap(times: int) -> int:
        for index in range(times):
            release = toys.release(versions[index % 2])
            server.wait_generation(release.generation)
        server.wait(
            lambda: server.metric('homeostat_inference_loaded_versions{model="toy"}') == 1,
            "old versions are unloaded",
            10,
        )
        return int(server.worker().memory_info().rss)

    before = swap(4)
    after = swap(8)
    assert after - before < 3 * 16_000_000, f"8 swaps of 16 MB added {(after - before) / 1e6:.0f} MB"


def test_swaps_between_runtimes_drop_and_mix_nothing(server: InferenceProcess, toys: ToyStore) -> None:
    """The first version of torch brings the import of torch, in a thread beside the answers."""
    weights = {MODEL: 2.0, ARCHIVE: 3.0}
    versions = {name: put_linear(toys, name, weight).version for name, weight in weights.items()}
    first = toys.release(versions[MODEL], model="linear")
    server.wait_served(first.version, "linear")
    assert not has_torch(server), "a server of ONNX models does not pay for torch"
    request_thread = RequestThread(server.url, "linear", {"amount": 1.0, "count": 4})
    request_thread.start()
    released = {first.generation: (first.version, 6.0)}
    for name in (ARCHIVE, MODEL, ARCHIVE):
        release = toys.release(versions[name], model="linear")
        released[release.generation] = (release.version, weights[name] + 4)
        server.wait_generation(release.generation, "linear")
    time.sleep(0.2)
    request_thread.enough.set()
    request_thread.join(timeout=20)

    assert request_thread.failures == []
    assert {generation for _, generation, _, _ in request_thread.answers} == set(released)
    for version, generation, scores, _ in request_thread.answers:
        assert (version, scores) == (released[generation][0], (released[generation][1],) * 3)
    assert has_torch(server)
    answered = {identity: version for version, _, _, ids in request_thread.answers for identity in ids}
    logged = {
        identity: record.version
        for record in spooled(toys.home)
        if isinstance(record, PredictionRecord)
        for identity in record.prediction_ids
    }
    assert answered.items() <= logged.items()


def has_torch(server: InferenceProcess) -> bool:
    return any("libtorch_python" in area.path for area in server.worker().memory_maps())


def assert_still_serves(server: InferenceProcess, version: str, generation: int) -> None:
    answer = server.http.post("/predict", json={"model": "toy", "rows": [ROW]}).json()
    assert (answer["version"], answer["generation"]) == (version, generation)
