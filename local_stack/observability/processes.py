"""Prometheus and Alertmanager beside the local stack: their programs, configuration and command lines."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local_stack.observability.config_files import alertmanager_config, prometheus_config, scrape_jobs
from local_stack.observability.web_config import web_config
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import ProcessSpec, services
from shared.access import installation_keys as keys
from shared.access.installation_keys import key_path
from shared.errors import OperatorError
from shared.observability.monitoring_login import USER, MonitoringLogin, ensure_password, password_path
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
    """The two processes, their configuration files, and the URLs of their pages. `web_config_file` says who may ask them."""

    home: Path
    specs: tuple[ProcessSpec, ...]
    files: Mapping[Path, str]
    web_config_file: Path
    links: Mapping[str, str]

    def write(self) -> None:
        """Write the files; existing data is kept, and so is the password. Raises `OperatorError`."""
        login = MonitoringLogin(USER, ensure_password(self.home))
        for path, text in {**self.files, self.web_config_file: web_config(login)}.items():
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
    host, home, scheme = settings.host, settings.home.absolute(), listener_scheme()
    folder = home / "observability"
    ports = {PROMETHEUS: settings.prometheus_port, ALERTMANAGER: settings.alertmanager_port}
    # A process without a job in the file is not scraped.
    jobs = scrape_jobs()
    specs = services(settings)
    scraped = {spec.name: [f"{host}:{spec.port}"] for spec in specs if spec.name in jobs}
    encrypted = [*jobs] if scheme == "https" else []
    targets = scraped | {name: [f"{host}:{port}"] for name, port in ports.items()}
    config_files = {name: folder / f"{name}.yml" for name in ports}
    web = folder / "web.yml"
    return Observability(
        home=home,
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
                    web,
                    scheme,
                ),
                ports[ALERTMANAGER],
                "HOMEOSTAT_ALERTMANAGER_PORT",
                READY,
                needs_broker=False,
                is_core=False,
                scheme=scheme,
            ),
            ProcessSpec(
                PROMETHEUS,
                prometheus_command(
                    find_program(PROMETHEUS),
                    config_files[PROMETHEUS],
                    folder / PROMETHEUS,
                    host,
                    ports[PROMETHEUS],
                    web,
                    scheme,
                ),
                ports[PROMETHEUS],
                "HOMEOSTAT_PROMETHEUS_PORT",
                READY,
                needs_broker=False,
                is_core=False,
                scheme=scheme,
            ),
        ),
        files={
            config_files[PROMETHEUS]: prometheus_config(
                targets,
                targets[ALERTMANAGER],
                key_file=key_path(home, keys.PROMETHEUS),
                password_file=password_path(home),
                encrypted=encrypted,
            ),
            config_files[ALERTMANAGER]: alertmanager_config(
                settings.alertmanager_config,
                f"{scheme}://{host}:{settings.retraining_port}",
                key_path(home, keys.ALERTMANAGER),
            ),
        },
        web_config_file=web,
        links={
            PROMETHEUS: f"{scheme}://{host}:{ports[PROMETHEUS]}/alerts",
            ALERTMANAGER: f"{scheme}://{host}:{ports[ALERTMANAGER]}",
        },
    )


def prometheus_command(
    program: str, config: Path, data: Path, host: str, port: int, web: Path, scheme: str = "http"
) -> tuple[str, ...]:
    """The command line of a Prometheus on `host:port` with its data in `data`; `web` is its web configuration."""
    return (
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--storage.tsdb.retention.time={KEPT_FOR}",
        f"--storage.tsdb.retention.size={KEPT_BYTES}",
        f"--web.listen-address={host}:{port}",
        f"--web.config.file={web}",
        f"--web.external-url={scheme}://{host}:{port}",
        # Otherwise any web page in a browser could read the metrics of this machine.
        f"--web.cors.origin={scheme}://{re.escape(host)}:{port}",
        "--log.level=warn",
    )


def alertmanager_command(
    program: str, config: Path, data: Path, host: str, port: int, web: Path, scheme: str = "http"
) -> tuple[str, ...]:
    """The command line of an Alertmanager on `host:port`, without cluster peers; `web` is its web configuration."""
    return (
        program,
        f"--config.file={config}",
        f"--storage.path={data}",
        "--data.retention=120h",
        f"--web.listen-address={host}:{port}",
        f"--web.config.file={web}",
        f"--web.external-url={scheme}://{host}:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    )
