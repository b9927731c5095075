"""The configuration of Prometheus and Alertmanager for services with TLS: the shipped files, with scheme and CA added."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
CA = "/run/tls/ca.pem"
MONITORING = ("prometheus", "alertmanager")  # they have no TLS of ours
NOTE = "# For services with TLS, made from {source} by `python -m dashboards.generate`.\n\n"


def encrypted_files() -> dict[Path, str]:
    """Both files, with the text that they should have."""
    prometheus, alertmanager = (
        FOLDER / "prometheus" / "prometheus.yml",
        FOLDER / "alertmanager" / "alertmanager.yml",
    )
    return {
        prometheus.with_name("prometheus.tls.yml"): NOTE.format(source=prometheus.name)
        + encrypted_prometheus(prometheus.read_text("utf-8")),
        alertmanager.with_name("alertmanager.tls.yml"): NOTE.format(source=alertmanager.name)
        + encrypted_alertmanager(alertmanager.read_text("utf-8")),
    }


def encrypted_prometheus(text: str) -> str:
    """A prometheus.yml whose jobs of our services use TLS."""

    def with_tls(match: re.Match[str]) -> str:
        if match[1] in MONITORING:
            return match[0]
        return f"{match[0]}    scheme: https\n    tls_config: {{ca_file: {CA}}}\n"

    return re.sub(r"^  - job_name: (\w+)\n", with_tls, text, flags=re.MULTILINE)


def encrypted_alertmanager(text: str) -> str:
    """An alertmanager.yml whose webhook to retraining uses TLS."""
    text = text.replace("url: http://retraining:", "url: https://retraining:")
    return re.sub(
        r"^( +)http_config:\n", rf"\g<0>\1  tls_config: {{ca_file: {CA}}}\n", text, flags=re.MULTILINE
    )
