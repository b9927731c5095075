"""Worlds in which a version is released: rows before the release, which the gate saw, and rows after it. Seeded and pure.

A row has the features a, b and z; its outcome is 1 with probability sigmoid(1.5 a + e b + s z). The effect e is drawn anew for
each block of time, as in a storm, so rows of a block are not independent. A version is the weights (of a, b and z) of a logistic
model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Weights = tuple[float, float, float]
Fault = Literal["leaked feature", "frozen upstream", "wrong unit"]
FAULTS: tuple[Fault, ...] = ("leaked feature", "frozen upstream", "wrong unit")
STORM = 0.5


@dataclass(frozen=True)
class Rows:
    """Features [N, 3] as logged, and outcomes [N]."""

    features: Floats
    outcomes: Floats

    def scores(self, weights: Weights) -> Floats:
        """What a version answers."""
        return _sigmoid(self.features @ np.array(weights))


def equal_rows(random: np.random.Generator, blocks: int, per_block: int) -> Rows:
    """Rows on which the versions (1.5, d, 0) and (1.5, -d, 0) have the same expected loss: b is symmetric about 0."""
    a, b = random.normal(size=(2, blocks * per_block))
    effect = np.repeat(random.normal(0, STORM, blocks), per_block)
    return Rows(np.stack([a, b, np.zeros_like(a)], axis=1), _outcomes(random, 1.5 * a + effect * b))


@dataclass(frozen=True)
class BadChallenger:
    """A challenger that is better before the release and worse after it, by its fault."""

    fault: Fault
    champion: Weights
    challenger: Weights
    strength: float

    @classmethod
    def draw(cls, random: np.random.Generator, fault: Fault) -> BadChallenger:
        """One with a strength between weak and strong; a challenger learns its weight of z from rows before the release."""
        strength = float(random.uniform(0.3, 0.8) if fault == "leaked feature" else random.uniform(0.4, 1.2))
        weight = 2 * strength if fault == "leaked feature" else strength
        return cls(fault, (1.5, 0.0, 0.0), (1.5, 0.0, weight), strength)

    def before(self, random: np.random.Generator, blocks: int, per_block: int) -> Rows:
        """Rows as training and the gate have them."""
        return self._rows(random, blocks, per_block, live=False)

    def after(self, random: np.random.Generator, blocks: int, per_block: int) -> Rows:
        """Rows as they are served: z is what the fault makes of it."""
        return self._rows(random, blocks, per_block, live=True)

    def _rows(self, random: np.random.Generator, blocks: int, per_block: int, *, live: bool) -> Rows:
        a, b, z = random.normal(size=(3, blocks * per_block))
        effect = np.repeat(random.normal(0, STORM, blocks), per_block)
        logits = 1.5 * a + effect * b
        if self.fault == "leaked feature":
            outcomes = _outcomes(random, logits)
            # Known only after the outcome: when a request is made, it is not there yet.
            logged = z if live else z + self.strength * (2 * outcomes - 1)
        else:
            outcomes = _outcomes(random, logits + self.strength * z)
            logged = z
            if live:
                # The last value before the source stopped; or tenths of degrees Fahrenheit in place of Celsius.
                frozen = np.full_like(z, random.choice([-1, 1]) * random.uniform(1.0, 2.0))
                logged = frozen if self.fault == "frozen upstream" else 1.8 * z + 3.2
        return Rows(np.stack([a, b, logged], axis=1), outcomes)


def _outcomes(random: np.random.Generator, logits: Floats) -> Floats:
    return (random.random(len(logits)) < _sigmoid(logits)).astype(np.float64)


def _sigmoid(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-logits))
