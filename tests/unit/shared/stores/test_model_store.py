"""Opening a model store by URL, and answers to a store that is damaged. The contract itself: tests/conformance."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import obstore
import pytest
from obstore.store import ObjectStore, S3Store

from shared.contracts.manifest import MANIFEST, REFERENCE, SIGNATURE
from shared.contracts.version_files.names import MODEL
from shared.errors import DependencyUnavailable, IntegrityError, NotFound
from shared.stores.model_store import ModelStore, open_model_store


def test_file_url_creates_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "with space and ü" / "models"
    store = open_model_store(folder.as_uri(), None)
    assert folder.is_dir()
    assert store.models() == []
    assert [path.name for path in tmp_path.iterdir()] == ["with space and ü"]


def test_a_store_in_memory_is_opened_by_url() -> None:
    assert open_model_store("memory:///", None).models() == []


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return open_model_store(tmp_path.as_uri(), None)


@pytest.mark.parametrize("model", ["", "..", "\x1e\U0004e38e", "a" * 300, "\x00", "a\n", "-a"])
def test_invalid_model_name_has_no_files(store: ModelStore, model: str) -> None:
    assert store.releases(model) == []
    assert store.latest_generation(model) == 0
    with pytest.raises(NotFound):
        store.manifest(model, "0" * 64)


def entry(model: str, generation: int) -> str:
    release = {
        "model": model,
        "generation": generation,
        "version": "0" * 64,
        "reason": "deployment",
        "actor": "loop",
        "released_at": "2013-01-15T00:00:00Z",
    }
    return json.dumps(release)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "{}",
        entry("flights", 2),
        entry("trains", 1),
    ],
)
def test_mismatched_release_raises_integrity_error(store: ModelStore, tmp_path: Path, content: str) -> None:
    (tmp_path / "flights" / "releases").mkdir(parents=True)
    (tmp_path / "flights" / "releases" / "000001.json").write_text(content)
    with pytest.raises(IntegrityError, match="release 1 of flights") as refusal:
        store.live_release("flights")
    assert refusal.value.hint


def test_other_files_are_not_counted_as_releases(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "flights" / "releases").mkdir(parents=True)
    for name in ("notes.json", "000001.json.bak", "000002.txt"):
        (tmp_path / "flights" / "releases" / name).write_text("{}")
    assert store.latest_generation("flights") == 0
    assert store.models() == []


@pytest.mark.parametrize(
    "name", [b"\xff", b"a\x01b", b"A Model", b"a%zz", b"...", b"x" * 200], ids=lambda name: ascii(name[:9])
)
def test_foreign_names_are_ignored(store: ModelStore, tmp_path: Path, name: bytes) -> None:
    releases = tmp_path / "flights" / "releases"
    releases.mkdir(parents=True)
    (releases / "000001.json").write_text(entry("flights", 1))
    for folder in (tmp_path, releases, tmp_path / "flights"):
        path = os.path.join(os.fsencode(folder), name)
        os.mkdir(path)
        Path(os.fsdecode(path + b".json")).write_text("{}")
    assert store.models() == ["flights"]
    assert store.latest_generation("flights") == 1
    assert store.versions("flights") == []


@pytest.mark.parametrize(
    "name",
    ["²2.json", "²", "7.json", "0000000000000000001.json", "000000.jsonx", "000002.json#1", "-00002.json"],
)
def test_only_well_formed_names_are_releases(store: ModelStore, tmp_path: Path, name: str) -> None:
    releases = tmp_path / "flights" / "releases"
    (releases / "sub").mkdir(parents=True)
    for path in (releases / "000001.json", releases / name, releases / "sub" / "000099.json"):
        path.write_text(entry("flights", 1))
    (releases / "000098.json").mkdir()
    assert store.latest_generation("flights") == 1


def put_fifo(path: Path) -> None:
    os.mkfifo(path)


def put_link(path: Path) -> None:
    target = path.parent.parent.parent / "elsewhere"
    target.write_text(entry("flights", 2))
    path.symlink_to(target)


def put_large_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 << 20)


@pytest.mark.parametrize("put", [put_fifo, put_link, put_large_file])
def test_what_is_no_file_is_refused_at_once(
    store: ModelStore, tmp_path: Path, put: Callable[[Path], None]
) -> None:
    releases = tmp_path / "flights" / "releases"
    releases.mkdir(parents=True)
    put(releases / "000002.json")
    (tmp_path / "trains" / "releases").mkdir(parents=True)
    (tmp_path / "trains" / "releases" / "000001.json").write_text(entry("trains", 1))
    assert store.models() == ["flights", "trains"]
    assert within(5, lambda: refusal(lambda: store.live_release("flights")))
    assert store.live_release("trains") is not None


def test_folder_of_a_model_that_is_a_link_is_an_error_of_that_model(
    store: ModelStore, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.d" / "releases"
    outside.mkdir(parents=True)
    (outside / "000001.json").write_text(entry("linked", 1))
    (tmp_path / "linked").symlink_to(outside.parent)
    (tmp_path / "trains" / "releases").mkdir(parents=True)
    (tmp_path / "trains" / "releases" / "000001.json").write_text(entry("trains", 1))
    assert store.models() == ["linked", "trains"]
    with pytest.raises(DependencyUnavailable, match="symbolic link"):
        store.live_release("linked")


def test_version_of_a_release_is_a_name(store: ModelStore, tmp_path: Path) -> None:
    releases = tmp_path / "flights" / "releases"
    releases.mkdir(parents=True)
    (releases / "000001.json").write_text(entry("flights", 1).replace("0" * 64, "../../../home"))
    with pytest.raises(IntegrityError, match="names no version"):
        store.live_release("flights")


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(IntegrityError) as error:
        read()
    return str(error.value)


def within(seconds: float, work: Callable[[], str]) -> str:
    """The result of `work`; a test that waits for a FIFO would otherwise not end."""
    found: list[str] = []
    thread = Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, "it still waits"
    return found[0]


@pytest.mark.parametrize("version", ["../../keys", "f" * 64, ""])
def test_path_traversal_in_a_name_is_not_found(store: ModelStore, version: str) -> None:
    with pytest.raises(NotFound, match="model flights has no version"):
        store.manifest("flights", version)


def test_the_manifest_is_written_last(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers take a manifest as the sign that a version is whole."""
    folder = tmp_path / "version"
    folder.mkdir()
    for name in (MANIFEST, MODEL, REFERENCE, SIGNATURE):
        (folder / name).write_bytes(b"x")
    written: list[str] = []
    put = obstore.put

    def recording_put(backend: ObjectStore, path: str, *arguments: Any, **options: Any) -> Any:
        written.append(path.rsplit("/", 1)[-1])
        return put(backend, path, *arguments, **options)

    monkeypatch.setattr(obstore, "put", recording_put)
    store.put_version("flights", "f" * 64, folder)
    assert len(written) == 4
    assert written[-1] == MANIFEST


def test_unreachable_store_raises_dependency_unavailable() -> None:
    """An address nobody listens on; the client gives up after its own short limit."""
    away = open_model_store_away()
    for ask in (away.models, lambda: away.versions("flights"), lambda: away.latest_generation("flights")):
        with pytest.raises(DependencyUnavailable, match="does not respond"):
            ask()


def open_model_store_away() -> ModelStore:
    return ModelStore(
        S3Store(
            "bucket",
            endpoint="http://127.0.0.1:9",
            region="none",
            access_key_id="none",
            secret_access_key="none",
            client_options={"allow_http": True, "timeout": timedelta(seconds=1)},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
        ),
        None,
    )
