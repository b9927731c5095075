"""The configuration of Prometheus, Alertmanager and Grafana for TLS: the shipped files, with scheme and CA added."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
CA = "/run/tls/ca.pem"
NOTE = "# For services with TLS, made from {source} by `python -m dashboards.generate`.\n\n"


def encrypted_files() -> dict[Path, str]:
    """The files, with the text that they should have."""
    prometheus, alertmanager = (
        FOLDER / "prometheus" / "prometheus.yml",
        FOLDER / "alertmanager" / "alertmanager.yml",
    )
    sources = FOLDER / "grafana" / "provisioning" / "datasources" / "homeostat.yaml"
    return {
        prometheus.with_name("prometheus.tls.yml"): NOTE.format(source=prometheus.name)
        + encrypted_prometheus(prometheus.read_text("utf-8")),
        alertmanager.with_name("alertmanager.tls.yml"): NOTE.format(source=alertmanager.name)
        + encrypted_alertmanager(alertmanager.read_text("utf-8")),
        FOLDER / "grafana" / "datasources.tls.yaml": NOTE.format(
            source=f"provisioning/datasources/{sources.name}"
        )
        + encrypted_sources(sources.read_text("utf-8")),
    }


def encrypted_prometheus(text: str) -> str:
    """A prometheus.yml whose jobs use TLS, and that sends alerts over TLS."""
    added = f"scheme: https\n{{indent}}tls_config: {{{{ca_file: {CA}}}}}\n"
    text = re.sub(
        r"^  - job_name: \w+\n", rf"\g<0>    {added.format(indent=' ' * 4)}", text, flags=re.MULTILINE
    )
    return text.replace("    - basic_auth:", f"    - {added.format(indent=' ' * 6)}      basic_auth:", 1)


def encrypted_sources(text: str) -> str:
    """The data sources of Grafana, over TLS."""
    text = re.sub(r"url: http://(prometheus|alertmanager):", r"url: https://\1:", text)
    text = text.replace("    jsonData:\n", "    jsonData:\n      tlsAuthWithCACert: true\n")
    return text.replace("    secureJsonData:\n", f"    secureJsonData:\n      tlsCACert: $__file{{{CA}}}\n")


def encrypted_alertmanager(text: str) -> str:
    """An alertmanager.yml whose webhook to retraining uses TLS."""
    text = text.replace("url: http://retraining:", "url: https://retraining:")
    return re.sub(
        r"^( +)http_config:\n", rf"\g<0>\1  tls_config: {{ca_file: {CA}}}\n", text, flags=re.MULTILINE
    )
