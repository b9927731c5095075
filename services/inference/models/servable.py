"""A version that is loaded and can answer: everything a request needs, fixed at loading time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import orjson

from services.inference.models.input_schema import Batch, Schema, is_finite
from shared.contracts.loop_spec import Feature
from shared.contracts.manifest import Manifest, short
from shared.contracts.release import Release
from shared.errors import UnservableModel

Array = npt.NDArray[Any]


class Tensor(Protocol):
    """An input or output of an engine."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def shape(self) -> tuple[int | None, ...]: ...


class Engine(Protocol):
    """What runs the model file."""

    @property
    def device(self) -> str: ...

    @property
    def inputs(self) -> tuple[Tensor, ...]: ...

    @property
    def outputs(self) -> tuple[Tensor, ...]: ...

    def run(self, output: str, feeds: Mapping[str, Array]) -> Array: ...


class Servable:
    """One version under one generation. `in_flight` and `retired` belong to the slot."""

    def __init__(self, release: Release, manifest: Manifest, engine: Engine, *, loaded_at: datetime) -> None:
        """Raises UnservableModel where the engine's inputs or output are not those of the manifest."""
        self.model = release.model
        self.version = release.version
        self.version_short = short(release.version)
        self.generation = release.generation
        self.release = release
        self.manifest = manifest
        self.schema = Schema(manifest.features)
        self.loaded_at = loaded_at
        self.device = engine.device
        self.in_flight = 0
        self.retired = False
        self.inputs = {tensor.name: tensor for tensor in engine.inputs}
        _check_inputs(manifest.features, self.inputs)
        self.output = _find_output(manifest, engine.outputs)
        self.scores = manifest.prediction.kind != "tensor"
        self._columns = tuple(
            feature.name
            for feature in manifest.features
            if feature.type != "tensor" and len(self.inputs[feature.name].shape) == 2
        )
        self._engine: Engine | None = engine
        self._seconds_per_call = 0.0
        self._seconds_per_row = 0.0
        self.reply_head = (
            b'{"model":'
            + orjson.dumps(self.model)
            + b',"version":'
            + orjson.dumps(self.version)
            + b',"generation":%d,"predictions":' % self.generation
        )

    def run(self, batch: Batch) -> Array:
        """The model's output for checked rows: one score a row, or one tensor a row. Raises UnservableModel."""
        if self._engine is None:
            raise UnservableModel(f"version {self.version_short} of {self.model} was unloaded")
        feeds = batch.feeds
        if self._columns:
            feeds = {**feeds, **{name: feeds[name].reshape(-1, 1) for name in self._columns}}
        output = self._engine.run(self.output.name, feeds)
        if self.scores:
            output = output.reshape(-1)
        if len(output) != batch.rows:
            raise UnservableModel(f"the model answered {len(output)} rows for {batch.rows}")
        if not is_finite(output):
            row = int(np.argmin(np.isfinite(output.reshape(batch.rows, -1)).all(axis=1)))
            raise UnservableModel(f"the model answered a number that is not finite for row {row}")
        return output

    def measure(self, one: Batch, many: Batch) -> None:
        """Time calls of one row and of many, so that `seconds` can foretell a call."""
        self._seconds_per_call = _fastest(lambda: self.run(one))
        rest = _fastest(lambda: self.run(many)) - self._seconds_per_call
        self._seconds_per_row = max(0.0, rest / max(1, many.rows - one.rows))

    def seconds(self, rows: int) -> float:
        """Expected time of a call with so many rows."""
        return self._seconds_per_call + self._seconds_per_row * (rows - 1)

    def close(self) -> None:
        """Let go of the engine and its memory."""
        self._engine = None


def _fastest(call: Any) -> float:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


_KINDS = {
    "number": "tensor(float)",
    "integer": "tensor(int64)",
    "boolean": "tensor(bool)",
    "category": "tensor(string)",
    "tensor": "tensor(float)",
}


def _check_inputs(features: tuple[Feature, ...], inputs: Mapping[str, Tensor]) -> None:
    names = {feature.name for feature in features}
    if names != set(inputs):
        lacking, extra = sorted(names - set(inputs)), sorted(set(inputs) - names)
        problem = "; ".join(
            part
            for part in (
                f"lacks {', '.join(lacking)}" if lacking else "",
                f"also has {', '.join(extra)}" if extra else "",
            )
            if part
        )
        raise UnservableModel(
            f"the model's inputs are not the manifest's features: it {problem}",
            hint="one input per feature",
        )
    for feature in features:
        tensor = inputs[feature.name]
        wanted = _KINDS[feature.type]
        if tensor.kind != wanted:
            raise UnservableModel(f"input {feature.name} is {tensor.kind}; a {feature.type} is {wanted}")
        shapes: list[tuple[int, ...]] = [feature.shape] if feature.type == "tensor" else [(), (1,)]
        if not any(_fits(tensor.shape, shape) for shape in shapes):
            raise UnservableModel(
                f"input {feature.name} has the shape {list(tensor.shape)}",
                hint="expected a free row axis"
                + (f", then {list(feature.shape)}" if feature.shape else ", alone or followed by 1"),
            )


def _fits(shape: tuple[int | None, ...], row: tuple[int, ...]) -> bool:
    return (
        len(shape) == len(row) + 1
        and shape[0] is None
        and all(have in (None, want) for have, want in zip(shape[1:], row, strict=True))
    )


def _find_output(manifest: Manifest, outputs: tuple[Tensor, ...]) -> Tensor:
    wanted = manifest.prediction.output
    found = next((tensor for tensor in outputs if not wanted or tensor.name == wanted), None)
    if found is None:
        raise UnservableModel(
            f"the model has no output {wanted!r}",
            hint=f"it has {', '.join(tensor.name for tensor in outputs)}",
        )
    if found.kind not in ("tensor(float)", "tensor(double)"):
        raise UnservableModel(f"output {found.name} is {found.kind}; expected tensor(float)")
    if found.shape and isinstance(found.shape[0], int):
        raise UnservableModel(
            f"output {found.name} has the shape {list(found.shape)}", hint="expected a free row axis"
        )
    if manifest.prediction.kind != "tensor" and not (
        len(found.shape) == 1 or (len(found.shape) == 2 and found.shape[1] in (1, None))
    ):
        raise UnservableModel(
            f"output {found.name} has the shape {list(found.shape)}; a {manifest.prediction.kind} is one number a row"
        )
    return found
