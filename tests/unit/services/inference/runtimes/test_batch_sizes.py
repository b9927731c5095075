from __future__ import annotations

from services.inference.runtimes.batch_sizes import batch_sizes, size_for


def test_batch_grows_by_half_at_most() -> None:
    sizes = batch_sizes(256)
    assert (sizes[0], sizes[-1]) == (1, 256)
    for rows in range(1, 257):
        assert rows <= size_for(rows, sizes) <= 1.5 * rows


def test_largest_size_is_the_one_asked_for() -> None:
    assert [batch_sizes(most)[-1] for most in (1, 3, 100)] == [1, 3, 100]
    assert size_for(1000, batch_sizes(100)) == 100
