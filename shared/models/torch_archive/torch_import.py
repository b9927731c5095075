"""Imports torch without stopping the other threads of a server for seconds."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from shared.errors import UnservableModel

_LIBRARY = "libtorch_python.so"
_HINT = "install homeostat[torch] here, or export the model to ONNX: homeostat deploy model.pt2 --reference rows.parquet"


def import_torch() -> None:
    """Import torch, if it is not imported yet. Raises UnservableModel that says what to install.

    Python holds its lock while it loads the library of an extension, and loading those of torch takes seconds: in that time no
    request would be answered. Loaded by ctypes, which releases the lock, they are there when the import asks for them.
    """
    try:
        found = find_spec("torch")
    except ValueError:  # imported, and without a specification
        found = None
    if found is not None and found.origin is not None:
        with suppress(OSError):  # another platform: the import loads it under another name
            ctypes.CDLL(str(Path(found.origin).parent / "lib" / _LIBRARY))
    try:
        import torch  # noqa: F401 - for whoever imports it next
    except (ImportError, OSError) as error:
        raise UnservableModel(
            f"model.pt2 needs torch, which cannot be imported: {error}", hint=_HINT
        ) from error
