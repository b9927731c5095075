"""Imports torch without stopping the other threads of a server for seconds."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from shared.errors import UnservableModel

# Of C++ only: what it does when it is loaded needs no lock of Python.
_LIBRARY = "libtorch.so"
_HINT = "install homeostat[torch] here, or export the model to ONNX: homeostat deploy model.pt2 --reference rows.parquet"


def import_torch() -> None:
    """Import torch, if it is not imported yet. Raises UnservableModel that says what to install.

    Python holds its lock while it loads the library of an extension, and loading those of torch takes seconds: in that time no
    request would be answered. `dlopen` itself, called as a function of C, releases the lock; the import then finds them loaded.
    """
    try:
        found = find_spec("torch")
    except ValueError:  # imported, and without a specification
        found = None
    if found is not None and found.origin is not None:
        with suppress(OSError, AttributeError):  # another platform: the import loads it under another name
            _load(Path(found.origin).parent / "lib" / _LIBRARY)
    try:
        import torch  # noqa: F401 - for whoever imports it next
    except (ImportError, OSError) as error:
        raise UnservableModel(
            f"model.pt2 needs torch, which cannot be imported: {error}", hint=_HINT
        ) from error


def _load(library: Path) -> None:
    """Load a library for the rest of the process; without effect if it is not there."""
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    dlopen(str(library).encode(), os.RTLD_NOW | os.RTLD_LOCAL)
