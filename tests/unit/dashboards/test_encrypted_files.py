from __future__ import annotations

import yaml

from dashboards.encrypted_files import FOLDER, encrypted_alertmanager, encrypted_prometheus


def test_only_our_services_are_scraped_over_tls() -> None:
    text = (FOLDER / "prometheus" / "prometheus.yml").read_text("utf-8")
    plain, encrypted = yaml.safe_load(text), yaml.safe_load(encrypted_prometheus(text))
    added = {"scheme": "https", "tls_config": {"ca_file": "/run/tls/ca.pem"}}
    for job in plain["scrape_configs"]:
        if job["job_name"] not in ("prometheus", "alertmanager"):
            job |= added
    assert encrypted == plain


def test_webhook_of_retraining_uses_tls() -> None:
    text = (FOLDER / "alertmanager" / "alertmanager.yml").read_text("utf-8")
    plain, encrypted = yaml.safe_load(text), yaml.safe_load(encrypted_alertmanager(text))
    [webhook] = next(one for one in plain["receivers"] if one["name"] == "retraining")["webhook_configs"]
    webhook["url"] = "https://retraining:8003/triggers"
    webhook["http_config"]["tls_config"] = {"ca_file": "/run/tls/ca.pem"}
    assert encrypted == plain
