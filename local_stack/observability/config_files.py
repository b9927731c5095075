"""Configuration of Prometheus and Alertmanager on this machine: the shipped files with this stack's addresses."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from shared.errors import OperatorError
from shared.observability.monitoring_login import USER
from shared.tls.client_environment import CA, CLIENT_CERTIFICATE, CLIENT_KEY

SHIPPED = Path(__file__).resolve().parents[2] / "dashboards"
RULES = str(SHIPPED / "prometheus" / "rules" / "*.yml")
PROMETHEUS = SHIPPED / "prometheus" / "prometheus.yml"
ALERTMANAGER = SHIPPED / "alertmanager" / "alertmanager.yml"
TRIGGERS = "/triggers"


def scrape_jobs() -> list[str]:
    """Names of the jobs of the shipped prometheus.yml."""
    return [str(job["job_name"]) for job in _read(PROMETHEUS)["scrape_configs"]]


def prometheus_config(
    targets: Mapping[str, Sequence[str]],
    alertmanagers: Sequence[str],
    *,
    key_file: Path,
    password_file: Path,
    interval: str = "5s",
    rules: Sequence[str] = (RULES,),
    encrypted: Collection[str] = (),
) -> str:
    """Text of a prometheus.yml that scrapes `targets` (addresses by job) every `interval` and sends alerts to `alertmanagers`.

    `key_file` holds the API key for our services, `password_file` the password of Prometheus and Alertmanager. A job of the
    shipped file that has no targets here is left out. `encrypted`: the jobs that are reached over TLS, with the certificates of
    the settings `HOMEOSTAT_TLS_…`. Raises `OperatorError` for a job the file does not know.
    """
    config = _read(PROMETHEUS)
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    unknown = sorted(set(targets) - set(jobs))
    if unknown:
        raise OperatorError(
            f"prometheus.yml has no job {unknown[0]}; expected one of {', '.join(jobs)}",
            hint="add the job to dashboards/prometheus/prometheus.yml",
        )
    config["global"] = {
        "scrape_interval": interval,
        "scrape_timeout": interval,
        "evaluation_interval": interval,
    }
    config["rule_files"] = list(rules)

    def reached(part: dict[str, Any], name: str, addresses: Sequence[str]) -> dict[str, Any]:
        return (
            _with_password(_with_key(part, key_file), password_file)
            | {"static_configs": [{"targets": list(addresses)}]}
            | ({"scheme": "https", "tls_config": tls_config()} if name in encrypted else {})
        )

    [shipped] = config["alerting"]["alertmanagers"]
    config["alerting"] = {"alertmanagers": [reached(shipped, "alertmanager", alertmanagers)]}
    config["scrape_configs"] = [
        reached(job, name, targets[name]) for name, job in jobs.items() if name in targets
    ]
    return yaml.safe_dump(config, sort_keys=False)


def alertmanager_config(source: Path | None, retraining_url: str, key_file: Path) -> str:
    """Text of the Alertmanager configuration at `source` (default: the shipped one), with retraining at `retraining_url`.

    `key_file` holds the API key for retraining.

    Every webhook that ends in /triggers is retraining's; files the configuration names are looked for beside `source`, as
    Alertmanager would. Raises `OperatorError` where it cannot be read as YAML.
    """
    source = source or ALERTMANAGER
    config = dict(_with_whole_paths(_read(source), source.absolute().parent))
    for receiver in config.get("receivers") or []:
        for webhook in receiver.get("webhook_configs") or []:
            if str(webhook.get("url", "")).endswith(TRIGGERS):
                webhook["url"] = retraining_url.rstrip("/") + TRIGGERS
                if retraining_url.startswith("https://"):
                    webhook["http_config"] = {"tls_config": tls_config()} | webhook.get("http_config", {})
                webhook["http_config"] = _with_key(webhook.get("http_config") or {}, key_file, always=True)
    return yaml.safe_dump(config, sort_keys=False)


def tls_config(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`tls_config` of Prometheus and Alertmanager: the files that our own clients use."""
    names = {"ca_file": CA, "cert_file": CLIENT_CERTIFICATE, "key_file": CLIENT_KEY}
    return {
        option: str(Path(environment[name]).absolute())
        for option, name in names.items()
        if environment.get(name)
    }


def _with_key(config: dict[str, Any], key_file: Path, *, always: bool = False) -> dict[str, Any]:
    """A part of a configuration that sends credentials, or shall `always`, with the key of this installation."""
    if not always and "authorization" not in config:
        return config
    return config | {"authorization": {"type": "Bearer", "credentials_file": str(key_file)}}


def _with_password(config: dict[str, Any], password_file: Path) -> dict[str, Any]:
    """A part that logs in, with the password of this installation."""
    if "basic_auth" not in config:
        return config
    return config | {"basic_auth": {"username": USER, "password_file": str(password_file)}}


def _with_whole_paths(value: Any, folder: Path, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _with_whole_paths(each, folder, str(name)) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_whole_paths(each, folder, key) for each in value]
    # `folder / path` is `path` itself if it is absolute.
    return (
        str(folder / value)
        if isinstance(value, str) and (key.endswith("_file") or key == "templates")
        else value
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise OperatorError(
            f"{path} cannot be read: {error}", hint="fix the file, or start without --observability"
        ) from error
    if not isinstance(found, dict):
        raise OperatorError(f"{path} is not a YAML mapping", hint="fix the file")
    return found
