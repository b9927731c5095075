"""The services, by their readiness routes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli.checks.check_result import CheckResult
from local_stack.addresses import addresses
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from local_stack.supervisor.process_specs import services
from shared.errors import HomeostatError
from shared.http.service_client import ServiceClient

TIMEOUT_S = 4.0


def health(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """Readiness of each service. Without a stack on this home, only the services with a known URL are checked."""
    where = addresses(settings)
    state = read_state(settings.home)
    shown = {process.name: process for process in state.processes} if state is not None else {}
    urls = {"inference": where.inference, "drift": where.drift, "retraining": where.retraining}
    requests = []
    for spec in services(settings):
        process = shown.get(spec.name)
        if state is None and spec.name not in urls:
            continue
        base = (
            urls.get(spec.name) or f"{spec.scheme}://{settings.host}:{process.port if process else spec.port}"
        )
        log = Path(process.log) if process else settings.home / "logs" / f"{spec.name}.log"
        requests.append((spec.name, base, spec.ready_path, log, process.restarts if process else 0))
    # In parallel, since each unreachable service takes the whole timeout.
    with ThreadPoolExecutor(max_workers=max(1, len(requests))) as pool:
        yield from pool.map(lambda one: _check_service(*one), requests)


def _check_service(name: str, base: str, path: str, log: Path, restarts: int) -> CheckResult:
    try:
        with ServiceClient(name, base, timeout_s=TIMEOUT_S) as client:  # readiness needs no key
            client.get(path)
    except HomeostatError as error:
        return CheckResult(name, "failure", error.message, f"less {log}")
    return CheckResult(
        name,
        "warning" if restarts else "ok",
        f"ready at {base}" + (f", restarted {restarts} times" if restarts else ""),
        f"less {log}" if restarts else "",
    )
