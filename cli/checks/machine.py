"""This machine: Python, Java, the broker's jars, disk, device, ports."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cli.checks.check_result import CheckResult
from local_stack.kafka.jars import present
from local_stack.kafka.java import find_java
from local_stack.ports import holder, is_free, port_hint
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import services
from shared.errors import HomeostatError

MIN_FREE_BYTES = 2 << 30


def python_version(version: tuple[int, ...]) -> CheckResult:
    """The Python version. Dependencies are locked for Python 3.11."""
    shown = ".".join(map(str, version))
    if version[:2] == (3, 11):
        return CheckResult("python", "ok", shown)
    return CheckResult("python", "failure", f"{shown}; expected 3.11", "make PYTHON=/path/to/python3.11 venv")


def java(settings: LocalStackSettings) -> CheckResult:
    """Java for the local broker."""
    try:
        found = find_java(settings.java_home)
    except HomeostatError as error:
        return CheckResult("java", "failure", error.message, error.hint)
    return CheckResult("java", "ok", f"{found.major} ({found.found}, {found.program})")


def jars(settings: LocalStackSettings) -> CheckResult:
    """The local broker's jars; missing ones are downloaded at the first start."""
    if present(settings.kafka_jars):
        return CheckResult("broker jars", "ok", str(settings.kafka_jars))
    return CheckResult(
        "broker jars",
        "warning",
        f"not all are in {settings.kafka_jars}; the next start downloads them, which needs a network",
        "homeostat up",
    )


def disk(settings: LocalStackSettings) -> CheckResult:
    """Free space of the data folder."""
    folder = settings.home.absolute()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return CheckResult("disk", "failure", f"{folder} cannot be written", f"chown -R $(id -u) {folder}")
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        return CheckResult(
            "disk",
            "failure",
            f"{free / 2**30:.1f} GiB free below {folder}; expected {MIN_FREE_BYTES / 2**30:.0f} GiB",
            f"du -xh {folder} | sort -h | tail",
        )
    return CheckResult("disk", "ok", f"{free / 2**30:.0f} GiB free below {folder}")


def device() -> CheckResult:
    """The device on which onnxruntime runs models."""
    try:
        import onnxruntime
    except ImportError:
        return CheckResult("device", "warning", "onnxruntime is not installed here", "make venv")
    usable = _cuda_devices()
    if usable and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return CheckResult("device", "ok", f"cuda ({usable} found)")
    return CheckResult("device", "ok", "cpu (no CUDA device found)")


def _cuda_devices() -> int:
    return (
        len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
        if Path("/proc/driver/nvidia/gpus").is_dir()
        else 0
    )


def ports(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """Whether the ports of `homeostat up` are free."""
    wanted = [(spec.name, spec.port, spec.setting) for spec in services(settings)]
    wanted.append(("kafka", settings.broker_port, "HOMEOSTAT_BROKER_PORT"))
    wanted.append(("controller", settings.controller_port, "HOMEOSTAT_CONTROLLER_PORT"))
    for name, port, setting in wanted:
        if is_free(settings.host, port):
            yield CheckResult(f"port of {name}", "ok", f"{port} is free")
        else:
            who = holder(port)
            yield CheckResult(
                f"port of {name}",
                "failure",
                f"{port} is taken" + (f" by {who}" if who else ""),
                port_hint(port, setting),
            )
