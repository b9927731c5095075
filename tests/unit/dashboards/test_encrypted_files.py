from __future__ import annotations

import yaml

from dashboards.encrypted_files import (
    FOLDER,
    encrypted_alertmanager,
    encrypted_prometheus,
    encrypted_sources,
)


def test_every_job_and_the_alerts_use_tls() -> None:
    text = (FOLDER / "prometheus" / "prometheus.yml").read_text("utf-8")
    plain, encrypted = yaml.safe_load(text), yaml.safe_load(encrypted_prometheus(text))
    added = {"scheme": "https", "tls_config": {"ca_file": "/run/tls/ca.pem"}}
    for job in plain["scrape_configs"]:
        job |= added
    plain["alerting"]["alertmanagers"][0] |= added
    assert encrypted == plain


def test_webhook_of_retraining_uses_tls() -> None:
    text = (FOLDER / "alertmanager" / "alertmanager.yml").read_text("utf-8")
    plain, encrypted = yaml.safe_load(text), yaml.safe_load(encrypted_alertmanager(text))
    [webhook] = next(one for one in plain["receivers"] if one["name"] == "retraining")["webhook_configs"]
    webhook["url"] = "https://retraining:8003/triggers"
    webhook["http_config"]["tls_config"] = {"ca_file": "/run/tls/ca.pem"}
    assert encrypted == plain


def test_data_sources_of_grafana_trust_the_ca() -> None:
    text = (FOLDER / "grafana" / "provisioning" / "datasources" / "homeostat.yaml").read_text("utf-8")
    plain, encrypted = yaml.safe_load(text), yaml.safe_load(encrypted_sources(text))
    for source in plain["datasources"]:
        source["url"] = source["url"].replace("http://", "https://")
        source["jsonData"]["tlsAuthWithCACert"] = True
        source["secureJsonData"]["tlsCACert"] = "$__file{/run/tls/ca.pem}"
    assert encrypted == plain
