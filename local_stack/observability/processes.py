"""Prometheus and Alertmanager beside the local stack: their programs, configuration and command lines."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local_stack.observability.config_files import alertmanager_config, prometheus_config, scrape_jobs
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import ProcessSpec, services
from shared.access import installation_keys as keys
from shared.access.installation_keys import key_path
from shared.errors import OperatorError
from shared.tls.client_environment import listener_scheme

PROMETHEUS, ALERTMANAGER = "prometheus", "alertmanager"
# Debian gives Alertmanager a longer name.
NAMES = {PROMETHEUS: ("prometheus",), ALERTMANAGER: ("prometheus-alertmanager", "alertmanager")}
INSTALL = "sudo apt-get install -y --no-install-recommends prometheus prometheus-alertmanager"
READY = "/-/ready"
# Long enough for objectives over 30 days, and bounded for a small disk.
KEPT_FOR, KEPT_BYTES = "31d", "4GB"


@dataclass(frozen=True)
class Observability:
    """The two processes, their configuration files, and the URLs of their pages."""

    specs: tuple[ProcessSpec, ...]
    files: Mapping[Path, str]
    links: Mapping[str, str]

    def write(self) -> None:
        """Write the files; existing data is kept."""
        for path, text in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def find_program(name: str) -> str:
    """Path of the program `name` (prometheus or alertmanager). Raises `OperatorError` with the command that installs it."""
    for candidate in NAMES[name]:
        found = shutil.which(candidate)
        if found:
            return found
    raise OperatorError(
        f"the program {' or '.join(NAMES[name])} was not found; --observability starts it", hint=INSTALL
    )


def make_observability(settings: LocalStackSettings) -> Observability:
    """Both for the stack of `settings`. Raises `OperatorError` if a program is missing or a configuration cannot be read."""
    host, folder = settings.host, settings.home.absolute() / "observability"
    ports = {PROMETHEUS: settings.prometheus_port, ALERTMANAGER: settings.alertmanager_port}
    # A process without a job in the file is not scraped.
    jobs = scrape_jobs()
    specs = services(settings)
    scraped = {spec.name: [f"{host}:{spec.port}"] for spec in specs if spec.name in jobs}
    encrypted = [spec.name for spec in specs if spec.scheme == "https"]
    targets = scraped | {name: [f"{host}:{port}"] for name, port in ports.items()}
    config_files = {name: folder / f"{name}.yml" for name in ports}
    return Observability(
        # Alertmanager starts before Prometheus and stops after it.
        specs=(
            ProcessSpec(
                ALERTMANAGER,
                alertmanager_command(
                    find_program(ALERTMANAGER),
                    config_files[ALERTMANAGER],
                    folder / ALERTMANAGER,
                    host,
                    ports[ALERTMANAGER],
                ),
                ports[ALERTMANAGER],
                "HOMEOSTAT_ALERTMANAGER_PORT",
                READY,
                needs_broker=False,
                is_core=False,
            ),
            ProcessSpec(
                PROMETHEUS,
                prometheus_command(
                    find_program(PROMETHEUS),
                    config_files[PROMETHEUS],
                    folder / PROMETHEUS,
                    host,
                    ports[PROMETHEUS],
                ),
                ports[PROMETHEUS],
                "HOMEOSTAT_PROMETHEUS_PORT",
                READY,
                needs_broker=False,
                is_core=False,
            ),
        ),
        files={
            config_files[PROMETHEUS]: prometheus_config(
                targets,
                targets[ALERTMANAGER],
                key_file=key_path(settings.home.absolute(), keys.PROMETHEUS),
                encrypted=encrypted,
            ),
            config_files[ALERTMANAGER]: alertmanager_config(
                settings.alertmanager_config,
                f"{listener_scheme()}://{host}:{settings.retraining_port}",
                key_path(settings.home.absolute(), keys.ALERTMANAGER),
            ),
        },
        links={
            PROMETHEUS: f"http://{host}:{ports[PROMETHEUS]}/alerts",
            ALERTMANAGER: f"http://{host}:{ports[ALERTMANAGER]}",
        },
    )


def prometheus_command(program: str, config: Path, data: Path, host: str, port: int) -> tuple[str, ...]:
    """The command line of a Prometheus on `host:port` with its data in `data`."""
    return (
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--storage.tsdb.retention.time={KEPT_FOR}",
        f"--storage.tsdb.retention.size={KEPT_BYTES}",
        f"--web.listen-address={host}:{port}",
        f"--web.external-url=http://{host}:{port}",
        # Otherwise any web page in a browser could read the metrics of this machine.
        f"--web.cors.origin=http://{re.escape(host)}:{port}",
        "--log.level=warn",
    )


def alertmanager_command(program: str, config: Path, data: Path, host: str, port: int) -> tuple[str, ...]:
    """The command line of an Alertmanager on `host:port`, without cluster peers."""
    return (
        program,
        f"--config.file={config}",
        f"--storage.path={data}",
        "--data.retention=120h",
        f"--web.listen-address={host}:{port}",
        f"--web.external-url=http://{host}:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    )
