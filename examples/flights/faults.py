"""Fault injection during the replay, as `homeostat inject` does it. The demo's checks must still pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

from examples.flights.leak import BAD_CHALLENGER
from local_stack.fault_injection.outages import kill_and_wait, stop_for
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import BROKER
from shared.errors import HomeostatError

SECONDS = 8.0
PAUSE_S = 3.0
TIMEOUT_S = 200.0

Fault = Callable[[LocalStackSettings], object]
# Faults that must not fail a request: serving depends on none of these processes.
FAULTS: dict[str, Fault] = {
    "broker-down": lambda settings: stop_for(settings, BROKER, SECONDS),
    "kill-shipper": lambda settings: kill_and_wait(settings, "shipper"),
    "kill-sink": lambda settings: kill_and_wait(settings, "sink"),
    "kill-drift": lambda settings: kill_and_wait(settings, "drift"),
    "kill-retraining": lambda settings: kill_and_wait(settings, "retraining"),
}


def parse_faults(text: str) -> tuple[str, ...]:
    """The faults of a comma-separated list. Raises ValueError for an unknown name."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    known = (*FAULTS, BAD_CHALLENGER)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{unknown[0]} is not a fault of the demo; choose from {', '.join(known)}")
    return names


class FaultInjection:
    """Injects the faults one after another while the block runs; `finish` waits for the last. `problems`: what did not work."""

    def __init__(self, home: Path, faults: tuple[str, ...], report: Callable[[str], None]) -> None:
        self._settings = LocalStackSettings().model_copy(update={"home": home})
        self._faults, self._report = faults, report
        self._over = Event()
        self._thread = Thread(target=self._run, name="fault-injection", daemon=True)
        self.done: list[str] = []
        self.problems: list[str] = []

    def __enter__(self) -> FaultInjection:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        # An active fault ends by itself: no process may stay down after the replay.
        self._thread.join(TIMEOUT_S)

    def finish(self) -> None:
        """Wait until every fault was injected, also after a fast replay."""
        self._thread.join(TIMEOUT_S)
        missing = [name for name in self._faults if name not in self.done]
        if missing and not self.problems:
            self.problems.append(f"not injected within {TIMEOUT_S:.0f} s: {', '.join(missing)}")

    def _run(self) -> None:
        for name in self._faults:
            if self._over.wait(PAUSE_S):
                return
            self._report(f"injecting {name}")
            try:
                FAULTS[name](self._settings)
            except (HomeostatError, OSError) as error:
                self.problems.append(f"{name} was not injected: {error}")
                return
            self.done.append(name)
