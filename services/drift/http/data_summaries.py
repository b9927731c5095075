"""Summaries of logged rows, made in the background, one at a time, each in a process with limits of memory and time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock, Thread
from typing import Any, Final

import orjson

MODULE: Final = "services.drift.data_summary"
# The longest wait of a page for its summary.
SECONDS: Final = 120.0
# A summary is made anew when the page is opened after this time.
AGE: Final = timedelta(minutes=10)
_KEPT: Final = 32


def run_summary(
    model: str,
    environment: Mapping[str, str],
    *,
    command: tuple[str, ...] = (sys.executable, "-m", MODULE),
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """`{"summary": …}` or `{"problem": …}` of the process."""
    try:
        done = subprocess.run(
            (*command, model),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"the summary took longer than {seconds:g} s"}
    try:
        found: dict[str, Any] = orjson.loads(done.stdout)
    except orjson.JSONDecodeError:
        return {"problem": f"the process of the summary ended with exit code {done.returncode}"}
    return found


@dataclass
class DataSummaries:
    """`make`: makes the summary of a model; see `run_summary`. `now`: system clock."""

    make: Callable[[str], dict[str, Any]]
    now: Callable[[], datetime]
    _lock: Lock = field(default_factory=Lock)
    _made: OrderedDict[str, tuple[datetime, dict[str, Any]]] = field(default_factory=OrderedDict)
    _making: str = ""

    def read(self, model: str) -> dict[str, Any]:
        """The summary of a model and when it was made. One that is missing or old is made now: until then `is_making` is true,
        and an older one is given."""
        with self._lock:
            made = self._made.get(model)
            is_making = made is None or self.now() - made[0] >= AGE
            if is_making and not self._making:
                self._making = model
                Thread(target=self._make, args=(model,), name="data-summary", daemon=True).start()
        at, found = made if made is not None else (None, {})
        return {
            "model": model,
            "is_making": is_making,
            "made_at": at,
            "problem": found.get("problem", ""),
            "summary": found.get("summary"),
        }

    def _make(self, model: str) -> None:
        found: dict[str, Any] = {"problem": "the summary could not be made"}
        try:
            found = self.make(model)
        finally:
            with self._lock:
                self._making = ""
                self._made[model] = self.now(), found
                self._made.move_to_end(model)
                while len(self._made) > _KEPT:
                    self._made.popitem(last=False)
