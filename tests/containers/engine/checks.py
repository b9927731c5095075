"""A list of checks: each prints one line with its time; what failed is shown with the end of its output."""

from __future__ import annotations

import subprocess
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field


class CheckFailed(Exception):
    """What a check expected did not happen."""


@dataclass
class Checks:
    """Runs checks one after the other and remembers what failed, and how long each took."""

    failed: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def __call__(self, text: str, check: Callable[[], object]) -> bool:
        """Run a check, which holds unless it raises. Returns whether it held."""
        began = time.monotonic()
        problem = ""
        try:
            check()
        except (CheckFailed, subprocess.TimeoutExpired) as error:
            problem = str(error)
        except Exception:  # a mistake in one check must not hide the others
            problem = traceback.format_exc(limit=-3)
        self.seconds[text] = time.monotonic() - began
        mark = "FAILED" if problem else "ok"
        print(f"{mark:7} {text} ({self.seconds[text]:.0f} s)", flush=True)
        if problem:
            self.failed.append(text)
            lines = problem.strip().splitlines()[-12:]
            print("\n".join(f"        {line[:300]}" for line in lines), flush=True)
        return not problem


def expect(holds: object, what: str) -> None:
    """Raise CheckFailed with `what` unless something holds."""
    if not holds:
        raise CheckFailed(what)
