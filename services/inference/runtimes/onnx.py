"""Running ONNX models with onnxruntime, from bytes that were verified before."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from services.inference.declared_precision import Form
from services.inference.runtimes.batch_sizes import batch_sizes
from services.inference.runtimes.bound_session import BoundSession, tensors_on_device, texts_of
from services.inference.runtimes.devices import Device
from services.inference.runtimes.half_precision import to_float16
from services.inference.runtimes.providers import Provider, provider_options
from services.inference.runtimes.stopped_call import CallStopped
from services.inference.runtimes.tensorrt import PROVIDER, check_tensorrt, tensorrt_options
from shared.errors import UnservableModel
from shared.models.runtime_errors import MODEL_FAILED, cannot_load, reason
from shared.models.tensor_type import TensorType

Array = npt.NDArray[Any]
_EXACT = Form()


class OnnxModel:
    """One loaded model. `batch_sizes`: the sizes to which its batches are filled up, to be tried at load; empty on the CPU."""

    def __init__(
        self,
        model: bytes,
        *,
        device: Device,
        threads: int,
        form: Form = _EXACT,
        maximum_batch_rows: int = 256,
        engines: Path | None = None,
    ) -> None:
        """`engines`: the folder for TensorRT's engines of this version.

        Raises UnservableModel where onnxruntime refuses the model, its form is not usable, or it is put on another device.
        """
        form.check(device.name)
        providers = provider_options(device, form)
        if form.tensorrt:
            providers = [self._tensorrt(model, form, engines, maximum_batch_rows), *providers]
        elif form.precision == "fp16":
            model = to_float16(model)
        self._session = _open(model, providers, threads)
        wanted, used = _name(providers[0]), self._session.get_providers()[0]
        if used != wanted:
            raise UnservableModel(f"onnxruntime put the model on {used} instead of {wanted}")
        # The session would keep the whole file, to be made again on another device: that would be a silent fallback.
        self._session._model_bytes = None
        self.device = device.name
        self.form = form
        self.inputs = _types(self._session.get_inputs())
        self.outputs = _types(self._session.get_outputs())
        self.batch_sizes: tuple[int, ...] = ()
        # What `InferenceSession.run` calls, without its checks in Python and new options each time: 4 µs of 12 of a small call.
        self._call = self._session._sess.run
        self._options = onnxruntime.RunOptions()
        self._stopped: set[int] = set()  # threads
        self._bound: BoundSession | None = None
        if device.name == "cuda":
            self._bind(maximum_batch_rows)

    def run(self, output: str, feeds: Mapping[str, Array]) -> Array:
        """One output for the given inputs. Raises UnservableModel where the model fails on them, CallStopped after `stop`."""
        while True:
            options = self._options
            try:
                if self._bound is not None:
                    return self._bound.run(output, feeds)
                result: Array = self._call([output], feeds, options)[0]
                return np.asarray(result)
            except Exception as error:
                if not options.terminate:
                    raise UnservableModel(f"{MODEL_FAILED}: {reason(error)}") from error
                if (thread := threading.get_ident()) in self._stopped:
                    self._stopped.discard(thread)
                    raise CallStopped("the model call was stopped, because it took too long") from error

    def stop(self, thread: int) -> None:
        """Stop the call that this thread makes on the CPU, at the next node of the graph; those of other threads begin anew."""
        self._stopped.add(thread)
        options, self._options = self._options, onnxruntime.RunOptions()
        options.terminate = True

    def _bind(self, maximum_batch_rows: int) -> None:
        # The isolated process on a CPU, which is started for every new version, does without the logs and their settings.
        from shared.observability.logs import get_logger

        log = get_logger(__name__)
        if texts := texts_of(self._session):
            log.info("inputs_not_bound", inputs=texts, reason="onnxruntime reads texts on the CPU only")
            return
        on_device = tensors_on_device(self._session)
        self.batch_sizes = batch_sizes(maximum_batch_rows)
        self._bound = BoundSession(self._session, kind="cuda", on_device=on_device, sizes=self.batch_sizes)
        log.info("inputs_bound", on_device=sorted(on_device))

    @staticmethod
    def _tensorrt(model: bytes, form: Form, engines: Path | None, maximum_batch_rows: int) -> Provider:
        assert engines is not None, "TensorRT needs a folder"
        check_tensorrt()
        inputs = _types(_open(model, ["CPUExecutionProvider"], 1).get_inputs())
        return PROVIDER, dict(tensorrt_options(form, engines, inputs, maximum_batch_rows=maximum_batch_rows))


def _open(model: bytes, providers: list[Provider], threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # A thread that spins between calls takes the core from the event loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # What it prints for a failed call is the message of the error, which is logged.
    options.log_severity_level = 4
    try:
        # With its fallback onnxruntime would go on with the CPU after an error of the device, and say so on stdout only.
        return onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime has no common base for what it raises
        raise cannot_load(error) from error


def _name(provider: Provider) -> str:
    return provider if isinstance(provider, str) else provider[0]


def _types(arguments: Any) -> tuple[TensorType, ...]:
    return tuple(TensorType.of(item) for item in arguments)
