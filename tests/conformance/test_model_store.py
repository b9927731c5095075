"""What every model store must keep, run over each backend: a folder, memory and a real S3 server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import pytest
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import MANIFEST, REFERENCE, SIGNATURE, FileDigest, Manifest, Origin
from shared.contracts.release import Release
from shared.contracts.version_files.names import MODEL
from shared.errors import Conflict, IntegrityError, NotFound
from shared.stores.model_store import ModelStore
from tests.object_stores import S3Server

LOOP = LoopSpec.model_validate(
    {
        "model": "flights",
        "features": [{"name": "distance", "type": "number"}],
        "prediction": {"kind": "probability"},
        "outcome": {"delay": "1d"},
        "metric": {"name": "log_loss"},
        "drift": {"window": {"every": "7d"}},
        "retraining": {"command": ["python", "train.py"]},
        "gate": {"holdout": "7d"},
    }
)


def folder_backend(tmp_path: Path) -> ObjectStore:
    (tmp_path / "store").mkdir()
    return LocalStore(tmp_path / "store")


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    if request.param == "memory":
        return ModelStore(MemoryStore(), None)
    if request.param == "folder":
        return ModelStore(folder_backend(tmp_path), None)
    server: S3Server = request.getfixturevalue("s3_server")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return ModelStore(from_url(f"s3://{server.new_bucket()}/models"), None)


@pytest.fixture
def version(tmp_path: Path) -> tuple[Path, Manifest]:
    """A version's folder; unsigned, since the store copies and does not judge."""
    folder = tmp_path / "version"
    folder.mkdir()
    contents = {MODEL: b"the model", REFERENCE: b"the reference"}
    files = {}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        files[name] = FileDigest(sha256=sha256(content).hexdigest(), size=len(content))
    manifest = Manifest(model="flights", loop=LOOP, files=files, origin=Origin(kind="deployment"))
    (folder / MANIFEST).write_bytes(manifest.to_bytes())
    (folder / SIGNATURE).write_bytes(b"{}")
    return folder, manifest


def release(generation: int, *, model: str = "flights", actor: str = "loop") -> Release:
    return Release(
        model=model,
        generation=generation,
        version="0" * 64,
        reason="promotion",
        actor=actor,
        released_at=datetime(2013, 1, 15, tzinfo=UTC),
    )


def test_an_empty_store_is_an_answer(store: ModelStore) -> None:
    assert store.models() == []
    assert store.versions("flights") == []
    assert store.releases("flights") == []
    assert store.latest_generation("flights") == 0
    assert store.live_release("flights") is None


def test_a_version_comes_back_byte_for_byte(
    store: ModelStore, version: tuple[Path, Manifest], tmp_path: Path
) -> None:
    folder, manifest = version
    store.put_version("flights", manifest.version, folder)
    assert store.versions("flights") == [manifest.version]
    assert store.manifest("flights", manifest.version) == manifest
    assert store.get_file("flights", manifest.version, MODEL) == b"the model"
    assert store.get_version("flights", manifest.version, tmp_path / "copy") == manifest
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_a_version_is_written_once(store: ModelStore, version: tuple[Path, Manifest]) -> None:
    """Whoever writes the same name again, with other bytes, changes nothing."""
    folder, manifest = version
    store.put_version("flights", manifest.version, folder)
    (folder / MODEL).write_bytes(b"another")
    store.put_version("flights", manifest.version, folder)
    assert store.get_file("flights", manifest.version, MODEL) == b"the model"


def test_a_version_half_written_does_not_exist_and_can_be_completed(
    store: ModelStore, version: tuple[Path, Manifest], tmp_path: Path
) -> None:
    folder, manifest = version
    (folder / MANIFEST).rename(tmp_path / "later")
    store.put_version("flights", manifest.version, folder)
    with pytest.raises(NotFound, match=rf"version {manifest.version[:12]}"):
        store.get_version("flights", manifest.version, tmp_path / "copy")
    (tmp_path / "later").rename(folder / MANIFEST)
    store.put_version("flights", manifest.version, folder)
    assert store.manifest("flights", manifest.version) == manifest


def test_a_manifest_under_another_name_is_refused(
    store: ModelStore, version: tuple[Path, Manifest], tmp_path: Path
) -> None:
    folder, _ = version
    store.put_version("flights", "f" * 64, folder)
    with pytest.raises(IntegrityError):
        store.get_version("flights", "f" * 64, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_missing_version_error_has_a_hint(store: ModelStore, version: tuple[Path, Manifest]) -> None:
    folder, manifest = version
    store.put_version("flights", manifest.version, folder)
    with pytest.raises(NotFound, match=r"model flights has no release 7 .`homeostat releases flights` lists"):
        store.release("flights", 7)
    with pytest.raises(NotFound, match="model flights has no version ffffffffffff "):
        store.manifest("flights", "f" * 64)
    with pytest.raises(NotFound, match=rf"has no version {manifest.version[:12]} with a file other.onnx"):
        store.get_file("flights", manifest.version, "other.onnx")


def test_the_log_is_read_in_order_and_the_highest_number_counts(store: ModelStore) -> None:
    for generation in range(1, 13):
        store.add_release(release(generation))
    assert [entry.generation for entry in store.releases("flights")] == list(range(1, 13))
    assert store.latest_generation("flights") == 12
    latest = store.live_release("flights")
    assert latest is not None
    assert latest == release(12)


def test_slots_are_read_from_the_end_of_the_log(store: ModelStore) -> None:
    def serve(generation: int, slot: str, share: float = 0.1) -> None:
        reason = "promotion" if slot == "live" else slot if share else "withdrawal"
        fields = release(generation).model_dump() | {"slot": slot, "reason": reason, "share": share}
        store.add_release(Release.model_validate(fields))

    def served() -> dict[str, int]:
        return {slot: entry.generation for slot, entry in store.slots("flights").items()}

    assert served() == {}
    serve(1, "live", 1)
    serve(2, "shadow")
    serve(3, "canary")
    assert served() == {"live": 1, "shadow": 2, "canary": 3}
    assert store.live_release("flights") == store.release("flights", 1)
    serve(4, "shadow", 0)
    assert served() == {"live": 1, "canary": 3}
    assert [entry.generation for entry in store.releases("flights")] == [1, 2, 3, 4]
    serve(5, "live", 1)
    assert served() == {"live": 5}


def test_models_are_those_with_a_release(store: ModelStore, version: tuple[Path, Manifest]) -> None:
    folder, manifest = version
    store.put_version("unreleased", manifest.version, folder)
    store.add_release(release(1, model="trains"))
    store.add_release(release(1, model="flights"))
    assert store.models() == ["flights", "trains"]


def test_models_whose_names_begin_alike_do_not_mix(store: ModelStore) -> None:
    store.add_release(release(1, model="flights-eu"))
    assert store.latest_generation("flights") == 0
    store.add_release(release(1, model="flights"))
    assert store.models() == ["flights", "flights-eu"]


@pytest.mark.parametrize("generation", [1, 2, 4])
def test_a_taken_or_skipping_generation_is_a_conflict(store: ModelStore, generation: int) -> None:
    store.add_release(release(1))
    store.add_release(release(2))
    with pytest.raises(Conflict, match="the next generation is 3") as conflict:
        store.add_release(release(generation, actor="late"))
    assert conflict.value.hint
    assert [entry.actor for entry in store.releases("flights")] == ["loop", "loop"]


def test_of_many_who_want_a_generation_exactly_one_gets_it(store: ModelStore) -> None:
    """All have seen the same log when they write: `latest_generation` is asked again by nobody after the barrier.

    So what is tested is the put-if-absent itself and not the check before it.
    """
    contenders, rounds = 8, 5
    for generation in range(1, rounds + 1):
        gate = Barrier(contenders)

        def contend(name: int, generation: int = generation, gate: Barrier = gate) -> str:
            late = _SeesTheLogBefore(store, gate)
            try:
                late.add_release(release(generation, actor=f"contender-{name}"))
            except Conflict:
                return ""
            return f"contender-{name}"

        with ThreadPoolExecutor(contenders) as pool:
            winners = [name for name in pool.map(contend, range(contenders)) if name]
        assert len(winners) == 1
        assert store.release("flights", generation).actor == winners[0]


class _SeesTheLogBefore(ModelStore):
    """A store whose user looked at the log, then waited until all the others had looked too."""

    def __init__(self, store: ModelStore, gate: Barrier) -> None:
        super().__init__(MemoryStore(), None)
        self._objects = store._objects
        self._gate = gate

    def latest_generation(self, model: str) -> int:
        seen = super().latest_generation(model)
        self._gate.wait(timeout=30)
        return seen
