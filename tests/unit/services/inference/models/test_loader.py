from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.inference.declared_precision import Form
from services.inference.models import loader as loader_module
from services.inference.models.input_schema import Batch
from services.inference.models.loader import Loader, Trial
from services.inference.models.servable import Engine, Servable
from services.inference.runtimes.devices import Device
from services.inference.runtimes.engines import EXACT, EngineOptions
from services.inference.runtimes.onnx import OnnxModel
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import MANIFEST, Manifest
from shared.contracts.version_files.names import MODEL
from shared.errors import IntegrityError, NotFound, UnservableModel
from shared.models.signed_versions.verification import verify_version
from shared.models.tensor_type import TensorType
from tests.fakes.class_model import TABLE, put_classes
from tests.fakes.toy_model import ROW, ToyStore, toy_onnx, toy_reference
from tests.fakes.trial import trial_in_this_process
from tests.fakes.vector_model import LINES, embedding_loop, put_vectors, values_loop
from tests.waiting import bound

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CPU = Device("cpu", ("CPUExecutionProvider",), "requested")


class CountingEngine:
    """Makes engines and remembers how many."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, name: str, model: bytes, options: EngineOptions) -> Engine:
        self.made += 1
        return OnnxModel(model, device=CPU, threads=1)


@pytest.fixture
def engines() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def loader(toys: ToyStore, engines: CountingEngine) -> Loader:
    return make_loader(toys, engines)


def make_loader(
    toys: ToyStore,
    engine: Callable[[str, bytes, EngineOptions], Engine],
    *,
    trial: Trial | None = None,
    key: Path | None = None,
    tolerance: float = 1e-3,
) -> Loader:
    return Loader(
        toys.store,
        verifying_key=key or toys.keys.verifying,
        trial=trial or trial_in_this_process(engine),
        engine=engine,
        options=lambda manifest: EXACT,
        probe_rows=16,
        probe_tolerance=tolerance,
        precision_tolerance=1e-2,
    )


def test_good_version_is_loaded_and_measured(loader: Loader, toys: ToyStore) -> None:
    release = toys.put_and_release(4.0)
    servable = loader.load(release)
    batch = servable.schema.batch([ROW, ROW])
    np.testing.assert_array_equal(servable.run(batch), np.array([4.0, 4.0], np.float32))
    assert 0 < servable.seconds(1) < bound(1)


@pytest.mark.parametrize("name", [MODEL, "reference.parquet", MANIFEST, "signature.json"])
def test_changed_file_is_refused_before_loading(
    loader: Loader, toys: ToyStore, engines: CountingEngine, name: str
) -> None:
    release = toys.put_and_release(4.0)
    path = toys.home / "models" / "toy" / "versions" / release.version / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(IntegrityError):
        loader.load(release)
    assert engines.made == 0


def test_file_changed_after_verification_is_refused(
    loader: Loader, toys: ToyStore, engines: CountingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = toys.put_and_release(4.0)

    def verify_then_swap(folder: Path, **arguments: Any) -> Manifest:
        manifest = verify_version(folder, **arguments)
        (folder / MODEL).write_bytes(toy_onnx(5.0))
        return manifest

    monkeypatch.setattr("services.inference.models.candidate.verify_version", verify_then_swap)
    with pytest.raises(IntegrityError, match="changed between verifying and loading"):
        loader.load(release)
    assert engines.made == 0


def test_number_of_remembered_versions_is_bounded(
    loader: Loader, toys: ToyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader_module, "_MAX_PASSED", 2)
    for score in (1.0, 2.0, 3.0):
        loader.load(toys.put_and_release(score))
    assert len(loader._passed) == 1


def test_foreign_signature_is_refused(toys: ToyStore, engines: CountingEngine, tmp_path: Path) -> None:
    release = toys.put_and_release(4.0)
    stranger = ToyStore(tmp_path / "stranger")
    loader = make_loader(toys, engines, key=stranger.keys.verifying)
    with pytest.raises(IntegrityError, match="signature"):
        loader.load(release)
    assert engines.made == 0


def test_version_of_another_model_is_refused(loader: Loader, toys: ToyStore) -> None:
    manifest = toys.put(4.0, model="other")
    toys.store.put_version("toy", manifest.version, toys.home / "drafts" / "1" / "version")
    with pytest.raises(IntegrityError, match="belongs to model other"):
        loader.load(toys.release(manifest.version))


def test_missing_version_is_not_found(loader: Loader, toys: ToyStore) -> None:
    with pytest.raises(NotFound):
        loader.load(toys.release("0" * 64))


def test_different_scores_fail_the_probe(loader: Loader, toys: ToyStore) -> None:
    manifest = toys.put(4.0, said=4.5)
    with pytest.raises(
        UnservableModel, match="scores reference row 0 as 4; when it was packaged the score was 4.5"
    ):
        loader.load(toys.release(manifest.version))


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"no model", "not an ONNX model"),
        (toy_onnx(1.0, lacking="colour"), "inputs missing: colour"),
        (toy_onnx(1.0, domain="com.example"), "domain 'com.example'"),
        (toy_onnx(float("nan")), "not finite"),
    ],
)
def test_unservable_model_is_refused(loader: Loader, toys: ToyStore, raw: bytes, problem: str) -> None:
    with pytest.raises(UnservableModel, match=problem):
        loader.load(toys.put_and_release(1.0, raw=raw))


def test_scores_of_shape_n_by_1(loader: Loader, toys: ToyStore) -> None:
    servable = loader.load(toys.put_and_release(4.0, raw=toy_onnx(4.0, score_rank=2)))
    assert servable.run(servable.schema.batch([ROW, ROW])).tolist() == [4.0, 4.0]


def load_classes(loader: Loader, toys: ToyStore, **changed: Any) -> Servable:
    return loader.load(toys.release(put_classes(toys, changed=changed).version, model="animals"))


def test_model_with_classes_is_probed_by_its_recorded_labels(loader: Loader, toys: ToyStore) -> None:
    servable = load_classes(loader, toys)
    np.testing.assert_array_equal(servable.run(servable.schema.batch([{"line": 2}])), TABLE[2:])
    with pytest.raises(
        UnservableModel, match="scores reference row 1 as 0.25; when it was packaged .* 0.625"
    ):
        load_classes(loader, toys, label=pa.array(["cat", "cat", "bird"]))


def test_of_two_equal_probabilities_either_label_passes_the_probe(loader: Loader, toys: ToyStore) -> None:
    changed = {"label": pa.array(["cat", "dog", "dog"]), "score": pa.array([0.75, 0.625, 0.25])}
    assert load_classes(loader, toys, **changed).labels.values == ("cat", "dog", "bird")


@pytest.mark.parametrize(
    ("label", "said"),
    [(None, "has no column `label`"), (pa.array(["cat", None, "fish"]), "has a label that is not in")],
)
def test_reference_without_known_labels_is_refused(
    loader: Loader, toys: ToyStore, label: pa.Array | None, said: str
) -> None:
    with pytest.raises(UnservableModel, match=said):
        load_classes(loader, toys, label=label)


class UnevenEngine:
    """An engine whose scores of single rows are a little off, as another algorithm of a GPU gives them."""

    def __init__(self, engine: Engine, error: float) -> None:
        self._engine = engine
        self._error = error
        self.device, self.inputs, self.outputs = engine.device, engine.inputs, engine.outputs
        self.batch_sizes, self.form = engine.batch_sizes, engine.form

    def run(self, output: str, feeds: Mapping[str, Any]) -> Any:
        scores = self._engine.run(output, feeds)
        return scores * (1 + self._error) if len(scores) == 1 else scores


def test_scores_may_differ_between_batches_by_the_tolerance(toys: ToyStore) -> None:
    release = toys.put_and_release(4.0)

    def load(error: float) -> Servable:
        made = make_loader(
            toys,
            lambda _, model, options: UnevenEngine(OnnxModel(model, device=CPU, threads=1), error),
            tolerance=1e-2,
        )
        return made.load(release)

    assert load(5e-3).version == release.version
    with pytest.raises(UnservableModel, match="depends on other rows in the batch"):
        load(5e-2)


@pytest.mark.parametrize("loop", [values_loop(), embedding_loop()])
def test_rows_of_numbers_are_compared_with_those_of_packaging(
    loader: Loader, toys: ToyStore, loop: LoopSpec
) -> None:
    servable = loader.load(toys.release(put_vectors(toys, loop).version, model=loop.model))
    output = servable.run(servable.schema.batch([{"line": 2}]))
    np.testing.assert_array_equal(output, LINES[2:])
    other = LINES.copy()
    other[1, 2] = 8.5
    changed = put_vectors(toys, loop, scores=pa.array(other.tolist(), pa.list_(pa.float32())))
    with pytest.raises(
        UnservableModel, match="reference row 1 with 8 at index 2; when it was packaged the number was 8.5"
    ):
        loader.load(toys.release(changed.version, model=loop.model))
    without = put_vectors(toys, loop, scores=None)
    with pytest.raises(UnservableModel, match="has no column `scores`"):
        loader.load(toys.release(without.version, model=loop.model))


class SizedEngine(OnnxModel):
    """An engine of a device that prepares itself for sizes of batches."""

    def __init__(self, model: bytes) -> None:
        super().__init__(model, device=CPU, threads=1)
        self.batch_sizes = (1, 2, 300)
        self.calls: list[int] = []

    def run(self, output: str, feeds: Mapping[str, Any]) -> Any:
        self.calls.append(len(feeds["count"]))
        return super().run(output, feeds)


def test_every_size_of_batch_is_tried_before_serving(toys: ToyStore) -> None:
    made: list[SizedEngine] = []

    def engine(name: str, model: bytes, options: EngineOptions) -> Engine:
        made.append(SizedEngine(model))
        return made[-1]

    make_loader(toys, engine).load(toys.put_and_release(4.0))
    _, served = made  # the one before was on trial
    assert served.calls[:3] == [1, 2, 300]


def test_numbers_beyond_float32_are_refused(loader: Loader, toys: ToyStore) -> None:
    """The log holds float32: a larger number would be infinite there."""
    manifest = put_vectors(toys, values_loop())
    engine = DoubleEngine(1e300)
    servable = Servable(toys.release(manifest.version, model="ranges"), manifest, engine, loaded_at=NOW)
    with pytest.raises(UnservableModel, match="not finite for row 0"):
        servable.run(servable.schema.batch([{"line": 2}]))
    engine.value = 0.1
    output = servable.run(servable.schema.batch([{"line": 2}]))
    assert output.dtype == np.float32
    assert output.tolist() == [[float(np.float32(0.1))] * 3]


class DoubleEngine:
    """Answers three equal numbers as float64."""

    device = "cpu"
    inputs = (TensorType("line", "tensor(int64)", (None,)),)
    outputs = (TensorType("numbers", "tensor(double)", (None, 3)),)
    batch_sizes = ()
    form = Form()

    def __init__(self, value: float) -> None:
        self.value = value

    def run(self, output: str, feeds: Mapping[str, Any]) -> Any:
        return np.full((len(feeds["line"]), 3), self.value)


class RefusedTrial:
    """Refuses every version; remembers whether each was still wanted."""

    def __init__(self) -> None:
        self.wanted: list[bool] = []

    @contextmanager
    def __call__(
        self, name: str, model: bytes, options: EngineOptions, is_wanted: Callable[[], bool]
    ) -> Iterator[Engine]:
        self.wanted.append(is_wanted())
        raise UnservableModel("it crashed on trial")
        yield


def test_version_that_fails_on_trial_is_not_loaded(toys: ToyStore, engines: CountingEngine) -> None:
    loader = make_loader(toys, engines, trial=RefusedTrial())
    with pytest.raises(UnservableModel, match="crashed on trial"):
        loader.load(toys.put_and_release(4.0))
    assert engines.made == 0


def test_trial_is_wanted_until_a_newer_release(toys: ToyStore, engines: CountingEngine) -> None:
    trial = RefusedTrial()
    loader = make_loader(toys, engines, trial=trial)
    older, newer = toys.put_and_release(4.0), toys.put_and_release(5.0)
    for release in (older, newer):
        with pytest.raises(UnservableModel):
            loader.load(release)
    (toys.home / "models").rename(toys.home / "away")
    assert trial.wanted == [False, True]
    assert loader.is_newest(older), "a store that is away ends no trial"


def test_version_that_has_passed_is_not_tried_again(toys: ToyStore, engines: CountingEngine) -> None:
    loader = make_loader(toys, engines)
    first, second = toys.put_and_release(4.0), toys.put_and_release(5.0)
    for release, made in ((first, 2), (first, 3), (second, 5), (first, 6)):
        assert loader.load(release).version == release.version
        assert engines.made == made


def test_earlier_release_is_wanted_beside_one_that_failed(toys: ToyStore, engines: CountingEngine) -> None:
    wanted: list[bool] = []

    @contextmanager
    def trial(
        name: str, model: bytes, options: EngineOptions, is_wanted: Callable[[], bool]
    ) -> Iterator[Engine]:
        wanted.append(is_wanted())
        with trial_in_this_process(engines)(name, model, options, is_wanted) as engine:
            yield engine

    loader = make_loader(toys, engines, trial=trial)
    earlier, bad = toys.put_and_release(4.0), toys.put_and_release(5.0, raw=b"no model")
    with pytest.raises(UnservableModel):
        loader.load(bad)
    assert loader.load(earlier).version == earlier.version
    assert wanted == [True, True]
    newest = toys.put_and_release(6.0)
    assert not loader.is_newest(earlier)
    assert loader.is_newest(newest)


class RoundingEngine:
    """Answers float32 rows by `count`; as fp16, the last row only is wrong. `calls` are the rows of each call."""

    def __init__(self, manifest: Manifest, *, wrong: bool = False) -> None:
        self.manifest, self.wrong, self.calls = manifest, wrong, list[int]()

    def run(self, batch: Batch) -> Any:
        self.calls.append(batch.rows)
        counts = np.asarray(batch.feeds["count"], np.float32).reshape(-1)
        return counts + (counts == 1499) if self.wrong else counts


def compared_rows(toys: ToyStore, tmp_path: Path) -> tuple[Manifest, pa.Table]:
    toy_reference(tmp_path / "many.parquet", 1.0, rows=1500)
    return toys.put(1.0), pq.read_table(tmp_path / "many.parquet")


def test_declared_precision_is_compared_on_all_reference_rows(
    loader: Loader, toys: ToyStore, tmp_path: Path
) -> None:
    """A tree may take another branch at a single row."""
    manifest, reference = compared_rows(toys, tmp_path)
    exact = RoundingEngine(manifest)
    answers, compared = loader_module._exact_answers(exact, reference)  # type: ignore[arg-type]
    assert answers.tolist() == list(range(1500))
    assert max(exact.calls) == 64
    wrong: Any = RoundingEngine(manifest, wrong=True)
    wrong.form = Form("fp16")
    loader._precision_tolerance = 1e-6
    with pytest.raises(UnservableModel, match="reference row 1499"):
        loader._difference(wrong, compared, answers)


def test_slow_model_is_compared_on_fewer_rows_spread_over_all(
    toys: ToyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, reference = compared_rows(toys, tmp_path)
    monkeypatch.setattr(loader_module, "_COMPARED_SECONDS", 0.0)
    answers, compared = loader_module._exact_answers(RoundingEngine(manifest), reference)  # type: ignore[arg-type]
    assert compared.num_rows == len(answers) == 64
    assert answers[[0, -1]].tolist() == [0, 1499]
