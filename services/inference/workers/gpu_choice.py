"""Which GPU a worker uses. Pure."""

from __future__ import annotations


def gpu_of_worker(number: int, *, visible: str | None, count: int) -> str | None:
    """The value of CUDA_VISIBLE_DEVICES for the worker of this number (from 1): one GPU, in turn. None leaves it as it is.

    `visible` is the variable's value, None if it is not set; `count` the GPUs of the machine. MIG slices are in the
    variable by name.

    >>> [gpu_of_worker(number, visible=None, count=2) for number in (1, 2, 3)]
    ['0', '1', '0']
    >>> gpu_of_worker(2, visible="3,GPU-5a", count=8)
    'GPU-5a'
    """
    if visible is None:
        devices = [str(index) for index in range(count)]
    else:
        devices = [device.strip() for device in visible.split(",") if device.strip()]
    return devices[(number - 1) % len(devices)] if devices else None
