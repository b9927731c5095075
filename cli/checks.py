"""The doctor's checks: each looks at one thing and says what it found and what would mend it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cli.broker_admin import missing_topics
from cli.doors import Door, addresses
from cli.java import find_java
from cli.kafka_jars import present
from cli.ports import holder, is_free
from cli.settings import CliSettings
from cli.stack import services
from cli.state import read_state
from cli.supervisor_lock import is_supervised
from shared.errors import DependencyAway, HomeostatError
from shared.stores.lake import Lake

LEAST_FREE_BYTES = 2 << 30
CLOCK_SLACK = timedelta(seconds=5)
State = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Finding:
    """What a check found: `state`, the thing `checked`, what was `found`, and the `remedy` of a failure."""

    checked: str
    state: State
    found: str
    remedy: str = ""

    def document(self) -> dict[str, str]:
        """The finding for programs."""
        return asdict(self)


def examine(settings: CliSettings, now: datetime) -> Iterator[Finding]:
    """Every check, in the order in which things depend on each other."""
    yield python_version(sys.version_info[:3])
    yield java(settings)
    yield jars(settings)
    yield disk(settings)
    yield device()
    if is_supervised(settings.home):
        yield Finding("supervisor", "ok", "at work")
        yield from broker(settings)
        yield from health(settings)
    elif settings.inference_url or settings.drift_url or settings.retraining_url:
        yield Finding("supervisor", "ok", "none here; the services are looked for at the addresses given")
        yield from broker(settings)
        yield from health(settings)
    else:
        yield Finding("supervisor", "ok", "not running; `homeostat up` starts the stack")
        yield from ports(settings)
    yield from lake(settings, now)


def python_version(version: tuple[int, ...]) -> Finding:
    """Homeostat is locked for Python 3.11."""
    shown = ".".join(map(str, version))
    if version[:2] == (3, 11):
        return Finding("python", "ok", shown)
    return Finding("python", "failure", f"{shown}; expected 3.11", "make PYTHON=/path/to/python3.11 venv")


def java(settings: CliSettings) -> Finding:
    """The local broker needs Java."""
    try:
        found = find_java(settings.java_home)
    except HomeostatError as error:
        return Finding("java", "failure", error.message, error.remedy)
    return Finding("java", "ok", f"{found.major} ({found.found}, {found.program})")


def jars(settings: CliSettings) -> Finding:
    """The local broker's jars; missing ones are fetched at the first start."""
    if present(settings.kafka_jars):
        return Finding("broker jars", "ok", str(settings.kafka_jars))
    return Finding(
        "broker jars",
        "warning",
        f"not all in {settings.kafka_jars}; the next start fetches them, which needs a network",
        "homeostat up",
    )


def disk(settings: CliSettings) -> Finding:
    """Room below the data root."""
    folder = settings.home.absolute()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return Finding("disk", "failure", f"{folder} cannot be written", f"chown -R $(id -u) {folder}")
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        return Finding(
            "disk",
            "failure",
            f"{free / 2**30:.1f} GiB free below {folder}; expected {LEAST_FREE_BYTES / 2**30:.0f} GiB",
            f"du -xh {folder} | sort -h | tail",
        )
    return Finding("disk", "ok", f"{free / 2**30:.0f} GiB free below {folder}")


def device() -> Finding:
    """Where onnxruntime would run models."""
    try:
        import onnxruntime
    except ImportError:
        return Finding("device", "warning", "onnxruntime is not installed here", "make venv")
    usable = _cuda_devices()
    if usable and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return Finding("device", "ok", f"cuda ({usable} found)")
    return Finding("device", "ok", "cpu (no CUDA device found)")


def _cuda_devices() -> int:
    return (
        len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
        if Path("/proc/driver/nvidia/gpus").is_dir()
        else 0
    )


def ports(settings: CliSettings) -> Iterator[Finding]:
    """Whether `homeostat up` would find its ports free."""
    wanted = [(spec.name, spec.port, spec.setting) for spec in services(settings)]
    wanted.append(("kafka", settings.broker_port, "HOMEOSTAT_BROKER_PORT"))
    wanted.append(("controller", settings.controller_port, "HOMEOSTAT_CONTROLLER_PORT"))
    for name, port, setting in wanted:
        if is_free(settings.host, port):
            yield Finding(f"port of {name}", "ok", f"{port} is free")
        else:
            who = holder(port)
            yield Finding(
                f"port of {name}",
                "failure",
                f"{port} is taken" + (f" by {who}" if who else ""),
                f"end that process, or set {setting}",
            )


def broker(settings: CliSettings) -> Iterator[Finding]:
    """The running broker and its topics."""
    state = read_state(settings.home)
    bootstrap = state.kafka if state is not None else settings.kafka
    try:
        missing = missing_topics(bootstrap)
    except DependencyAway as error:
        yield Finding("broker", "failure", error.message, f"less {settings.home / 'logs' / 'kafka.log'}")
        return
    yield Finding("broker", "ok", f"answers at {bootstrap}")
    if missing:
        yield Finding(
            "topics", "failure", f"missing: {', '.join(missing)}", "homeostat down && homeostat up --detach"
        )
    else:
        yield Finding("topics", "ok", "all there")


def health(settings: CliSettings) -> Iterator[Finding]:
    """Each service's own word. Without a stack of this home only those are asked whose addresses the settings know."""
    where = addresses(settings)
    state = read_state(settings.home)
    shown = {process.name: process for process in state.processes} if state is not None else {}
    doors = {"inference": where.inference, "drift": where.drift, "retraining": where.retraining}
    for spec in services(settings):
        process = shown.get(spec.name)
        if state is None and spec.name not in doors:
            continue
        base = doors.get(spec.name) or f"http://{settings.host}:{process.port if process else spec.port}"
        log = process.log if process else settings.home / "logs" / f"{spec.name}.log"
        try:
            with Door(spec.name, base, timeout_s=5.0) as door:
                door.get(spec.ready_path)
        except HomeostatError as error:
            yield Finding(spec.name, "failure", error.message, f"less {log}")
        else:
            restarts = process.restarts if process else 0
            yield Finding(
                spec.name,
                "warning" if restarts else "ok",
                f"ready at {base}" + (f", but was restarted {restarts} times" if restarts else ""),
                f"less {log}" if restarts else "",
            )


def lake(settings: CliSettings, now: datetime) -> Iterator[Finding]:
    """Whether the lake can be read, and whether the clock is behind what was already written."""
    try:
        found = Lake(settings.lake_url)
        names = found.models()
        commits = [_last_commit(found, name) for name in names]
    except Exception as error:  # deltalake raises several unrelated kinds; all mean the same here
        yield Finding(
            "lake", "failure", f"{settings.lake_url} cannot be read: {error}", f"ls -l {settings.lake_url}"
        )
        return
    yield Finding("lake", "ok", f"{len(names)} models at {settings.lake_url}")
    yield clock(max((moment for moment in commits if moment is not None), default=None), now)


def clock(newest_commit: datetime | None, now: datetime) -> Finding:
    """A clock behind the lake's newest commit was stepped back: ages and lateness would be wrong."""
    if newest_commit is not None and now < newest_commit - CLOCK_SLACK:
        behind = (newest_commit - now).total_seconds()
        return Finding(
            "clock",
            "failure",
            f"{behind:.0f} s behind the newest commit of the lake",
            "timedatectl set-ntp true",
        )
    return Finding("clock", "ok", now.isoformat(timespec="seconds"))


def _last_commit(lake: Lake, model: str) -> datetime | None:
    table = lake.open(lake.predictions(model))
    if table is None:
        return None
    history = table.history(1)
    return datetime.fromtimestamp(int(history[0]["timestamp"]) / 1000, UTC) if history else None
