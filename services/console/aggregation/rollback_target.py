"""Which generation a rollback would put back, so that a person reads its name before the button is pressed. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.console.aggregation.view_models import Release


def generation_before(log: Sequence[Release]) -> int:
    """The generation whose version was served before the present one; 0 where there is none.

    As retraining does it: deployments and promotions stack up, a rollback takes off. What the page names it also sends, so if
    the two should ever differ, what was read is what happens.
    """
    stack: list[Release] = []
    for entry in log:
        versions = [below.version for below in stack]
        if entry.reason == "rollback" and entry.version in versions:
            del stack[len(versions) - versions[::-1].index(entry.version) :]
        elif not stack or stack[-1].version != entry.version:
            stack.append(entry)
    return stack[-2].generation if len(stack) > 1 else 0


def candidates(log: Sequence[Release], most: int = 20) -> list[Release]:
    """What a rollback may put back, newest first: for each version but the one served, the last generation that served it."""
    if not log:
        return []
    newest = {entry.version: entry for entry in log if entry.version and entry.version != log[-1].version}
    return sorted(newest.values(), key=lambda entry: entry.generation, reverse=True)[:most]
