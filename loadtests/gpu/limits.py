"""The limits of `make gpu`, and the table of what was measured. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

# Differences from float64, absolute for numbers up to 1, else relative.
MAX_DIFFERENCE = {"fp32": 1e-4, "tf32": 1e-2, "fp16": 1e-2}
MIN_SHARE_OF_BARE = 0.9
MAX_BATCH_TIMES = 2.0
MAX_GROWTH_MIB = 64.0


@dataclass
class Report:
    """What was measured, line by line, and which bars were missed."""

    lines: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """A figure without a bar."""
        self.lines.append(line)

    def at_most(self, what: str, value: float, bar: float, unit: str = "") -> None:
        """A figure that must not exceed its bar."""
        self._hold(what, value, bar, f"at most {bar:g}{unit}", unit, is_met=value <= bar)

    def at_least(self, what: str, value: float, bar: float, unit: str = "") -> None:
        """A figure that must reach its bar."""
        self._hold(what, value, bar, f"at least {bar:g}{unit}", unit, is_met=value >= bar)

    def _hold(self, what: str, value: float, bar: float, limit: str, unit: str, *, is_met: bool) -> None:
        self.lines.append(f"{what}: {value:.4g}{unit} (bar: {limit}, {'met' if is_met else 'MISSED'})")
        if not is_met:
            self.missed.append(what)
