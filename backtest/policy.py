"""Policies: the part of `retraining` in loop.yaml that says when to train, and on which rows. A policy file has that part alone.

    retraining:
      triggers: [{when: schedule, every: 14d}]
      cooldown: 7d
    costs: {training: 5, loss: 0.01}     # optional

Keys that the file does not give are those of the project's loop.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.policies.policy_document import KEYS, PARTS, read_document, with_policy
from shared.contracts.retraining_spec import Costs

__all__ = ["KEYS", "PARTS", "Policy", "policy_digest", "project_policy", "read_policy"]


@dataclass(frozen=True)
class Policy:
    """`loop`: the project's loop.yaml with this policy. `given`: the policy file as it was read; empty for the project's own."""

    name: str
    loop: LoopSpec
    given: dict[str, Any]

    @property
    def costs(self) -> Costs:
        """What trainings and losses cost."""
        return self.loop.costs or Costs()

    @property
    def digest(self) -> str:
        """Names the policy."""
        return policy_digest(self.loop)


def policy_digest(loop: LoopSpec) -> str:
    """SHA-256 of the policy's keys with their values, defaults included: comments and order do not change it."""
    document = loop.require_performance().retraining.model_dump(mode="json", include=set(KEYS))
    return sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def project_policy(loop: LoopSpec) -> Policy:
    """The policy of loop.yaml itself."""
    return Policy("loop.yaml", loop, {})


def read_policy(path: Path, loop: LoopSpec) -> Policy:
    """The policy of a file, for the project of `loop`. Raises ProjectError, InvalidLoopSpec naming file, key and expectation."""
    given = read_document(path)
    return Policy(path.stem, with_policy(loop, given, str(path)), given)
