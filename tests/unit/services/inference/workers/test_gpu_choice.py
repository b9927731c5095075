from __future__ import annotations

import pytest

from services.inference.workers.gpu_choice import gpu_of_worker


@pytest.mark.parametrize(
    ("number", "visible", "count", "chosen"),
    [
        (1, None, 2, "0"),
        (2, None, 2, "1"),
        (3, None, 2, "0"),
        (2, "4,6", 8, "6"),
        (3, "4, 6", 8, "4"),
        (2, "MIG-a,MIG-b", 1, "MIG-b"),
        (1, None, 0, None),
        (1, "", 2, None),
    ],
)
def test_workers_take_the_visible_gpus_in_turn(
    number: int, visible: str | None, count: int, chosen: str | None
) -> None:
    assert gpu_of_worker(number, visible=visible, count=count) == chosen
