"""The services, each by its own word."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli.checks.check_result import Finding
from local_stack.addresses import addresses
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from local_stack.supervisor.process_specs import services
from shared.errors import HomeostatError
from shared.http.service_client import ServiceClient

TIMEOUT_S = 4.0


def health(settings: LocalStackSettings) -> Iterator[Finding]:
    """Each service's own word. Without a stack of this home only those are asked whose addresses the settings know."""
    where = addresses(settings)
    state = read_state(settings.home)
    shown = {process.name: process for process in state.processes} if state is not None else {}
    doors = {"inference": where.inference, "drift": where.drift, "retraining": where.retraining}
    asked = []
    for spec in services(settings):
        process = shown.get(spec.name)
        if state is None and spec.name not in doors:
            continue
        base = doors.get(spec.name) or f"http://{settings.host}:{process.port if process else spec.port}"
        log = Path(process.log) if process else settings.home / "logs" / f"{spec.name}.log"
        asked.append((spec.name, base, spec.ready_path, log, process.restarts if process else 0))
    # At once: five silent services would take five times as long as one.
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
        yield from pool.map(lambda one: _word_of(*one), asked)


def _word_of(name: str, base: str, path: str, log: Path, restarts: int) -> Finding:
    try:
        with ServiceClient(name, base, timeout_s=TIMEOUT_S) as door:
            door.get(path)
    except HomeostatError as error:
        return Finding(name, "failure", error.message, f"less {log}")
    return Finding(
        name,
        "warning" if restarts else "ok",
        f"ready at {base}" + (f", but was restarted {restarts} times" if restarts else ""),
        f"less {log}" if restarts else "",
    )
