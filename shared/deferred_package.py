"""A package whose `__init__` runs when something of the package is used, and not when one of its submodules is imported."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from threading import Lock, RLock
from types import ModuleType
from typing import Any

_registering = Lock()


def defer_package(name: str) -> None:
    """Register the package `name` without running its `__init__`. Nothing changes if it is already imported.

    The `__init__` runs, once, at the first use of a name that it defines. Raises ModuleNotFoundError if there is no such package.
    """
    with _registering:
        if name not in sys.modules:
            sys.modules[name] = _deferred(name)


def _deferred(name: str) -> ModuleType:
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    package = module_from_spec(spec)
    names: dict[str, Any] = vars(package)
    loader, lock, running = spec.loader, RLock(), False

    def attribute(wanted: str) -> Any:
        """PEP 562: what the package does not have yet."""
        nonlocal running
        with lock:
            # Names such as `__warningregistry__` are looked for in every module.
            if not (running or wanted.startswith("__") or "__getattr__" not in names):
                running = True
                try:
                    loader.exec_module(package)
                finally:
                    running = False
                if names.get("__getattr__") is attribute:
                    del names["__getattr__"]
        try:
            return names[wanted]
        except KeyError:
            raise AttributeError(f"module {name!r} has no attribute {wanted!r}") from None

    names["__getattr__"] = attribute
    return package
