"""Opens the engine of a version: the runtime for its file, as declared for its model, or in float32 on the CPU."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from services.inference.declared_precision import DeclaredForms, Form
from services.inference.runtimes.devices import Device, choose_device
from services.inference.runtimes.onnx import OnnxModel
from services.inference.runtimes.tensorrt import engine_folder
from shared.contracts.version_files.names import ARCHIVE
from shared.errors import UnservableModel

if TYPE_CHECKING:
    from services.inference.runtimes.torch import ServedProgram
    from shared.contracts.manifest import Manifest

Loaded: TypeAlias = "OnnxModel | ServedProgram"


@dataclass(frozen=True)
class EngineOptions:
    """How a model is opened. `tensorrt_folder`: for the engines of its version; empty without TensorRT."""

    form: Form
    maximum_batch_rows: int = 256
    tensorrt_folder: str = ""
    on_cpu: bool = False

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)

    @classmethod
    def load(cls, document: dict[str, Any]) -> EngineOptions:
        """From the data of `dump`."""
        return cls(**{**document, "form": Form(**document["form"])})


# What other forms are compared with.
EXACT = EngineOptions(Form(), on_cpu=True)


class Engines:
    """The options of the models of a server."""

    def __init__(self, forms: DeclaredForms, *, maximum_batch_rows: int, tensorrt_folder: Path) -> None:
        """`tensorrt_folder`: for the engines that TensorRT builds; made when it is needed."""
        self._forms = forms
        self._maximum_batch_rows = maximum_batch_rows
        self._tensorrt_folder = tensorrt_folder

    def options(self, manifest: Manifest) -> EngineOptions:
        """How the version is opened to serve it."""
        form = self._forms.of(manifest.model)
        folder = str(engine_folder(self._tensorrt_folder, manifest.version, form)) if form.tensorrt else ""
        return EngineOptions(form, self._maximum_batch_rows, folder)


def open_engine(name: str, model: bytes, options: EngineOptions, *, device: Device, threads: int) -> Loaded:
    """The engine of a model; `name` is its file's in the version.

    Raises UnservableModel, also where the declared form is not usable: no other takes its place.
    """
    if options.on_cpu:
        device = choose_device("cpu")
    if name == ARCHIVE:
        if not options.form.is_exact:
            raise UnservableModel(
                f"{options.form} is declared for the model, and {ARCHIVE} runs in float32 only",
                hint="set fp32 for it in HOMEOSTAT_INFERENCE_PRECISION_BY_MODEL, remove it from HOMEOSTAT_INFERENCE_TENSORRT, or "
                "release it as an ONNX file",
            )
        # Torch takes seconds to import and half a GiB of memory: only a server of such a version pays for it.
        from services.inference.runtimes.torch import ServedProgram

        return ServedProgram(model, device=device, threads=threads)
    return OnnxModel(
        model,
        device=device,
        threads=threads,
        form=options.form,
        maximum_batch_rows=options.maximum_batch_rows,
        engines=Path(options.tensorrt_folder) if options.tensorrt_folder else None,
    )
