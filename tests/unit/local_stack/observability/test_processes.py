"""What Prometheus and Alertmanager are started with beside a local stack."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from local_stack.observability.config_files import alertmanager_config, prometheus_config, scrape_jobs
from local_stack.observability.processes import INSTALL, find_program, make_observability
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import services
from shared.errors import OperatorError


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the PATH, and nothing else, with both programs under Debian's names."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("prometheus", "prometheus-alertmanager"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def settings(home: Path, **changed: object) -> LocalStackSettings:
    ports = {
        "prometheus_port": 19090,
        "alertmanager_port": 19093,
        "inference_port": 18000,
        "sink_port": 18004,
    }
    return LocalStackSettings().model_copy(
        update={"home": home, "retraining_port": 18003, **ports, **changed}
    )


def test_all_services_are_scraped(programs: Path, tmp_path: Path) -> None:
    made = settings(tmp_path / "home")
    watching = make_observability(made)
    watching.write()
    config = yaml.safe_load((tmp_path / "home" / "observability" / "prometheus.yml").read_text())
    found = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    expected = {spec.name: [f"127.0.0.1:{spec.port}"] for spec in services(made)}
    assert found == expected | {"prometheus": ["127.0.0.1:19090"], "alertmanager": ["127.0.0.1:19093"]}
    assert config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["127.0.0.1:19093"]
    assert config["global"]["scrape_interval"] == "5s"


def test_alertmanager_sends_to_retraining(programs: Path, tmp_path: Path) -> None:
    make_observability(settings(tmp_path)).write()
    config = yaml.safe_load((tmp_path / "observability" / "alertmanager.yml").read_text())
    [webhook] = next(each for each in config["receivers"] if each["name"] == "retraining")["webhook_configs"]
    assert webhook["url"] == "http://127.0.0.1:18003/triggers"


def test_services_with_tls_are_scraped_over_tls(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEOSTAT_TLS_CERTIFICATE", "server.pem")
    monkeypatch.setenv("HOMEOSTAT_TLS_CA", "ca.pem")
    make_observability(settings(tmp_path)).write()
    config = yaml.safe_load((tmp_path / "observability" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    encrypted = {name for name, job in jobs.items() if job.get("scheme") == "https"}
    assert encrypted == set(jobs) >= {"drift", "prometheus", "alertmanager"}
    assert config["alerting"]["alertmanagers"][0]["scheme"] == "https"
    assert jobs["drift"]["tls_config"] == {"ca_file": str(tmp_path / "ca.pem")}
    config = yaml.safe_load((tmp_path / "observability" / "alertmanager.yml").read_text())
    [webhook] = next(each for each in config["receivers"] if each["name"] == "retraining")["webhook_configs"]
    assert webhook["url"] == "https://127.0.0.1:18003/triggers"
    assert webhook["http_config"]["tls_config"] == {"ca_file": str(tmp_path / "ca.pem")}


def test_both_need_the_login_and_get_it_from_each_other(programs: Path, tmp_path: Path) -> None:
    watching = make_observability(settings(tmp_path))
    watching.write()
    folder = tmp_path / "observability"
    web, password = folder / "web.yml", tmp_path / "keys" / "monitoring.password"
    for spec in watching.specs:
        assert f"--web.config.file={web}" in spec.command
    assert [*yaml.safe_load(web.read_text())["basic_auth_users"]] == ["homeostat"]
    assert password.read_text().strip() not in web.read_text()
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    login = {"username": "homeostat", "password_file": str(password)}
    asking = [*config["alerting"]["alertmanagers"], *config["scrape_configs"]]
    # Our services get the key, and never the password.
    assert [one.get("job_name", "alerts") for one in asking if one.get("basic_auth") == login] == [
        "alerts",
        "prometheus",
        "alertmanager",
    ]
    assert [one.get("job_name") for one in asking if "basic_auth" in one and "authorization" in one] == []
    before = password.read_text()
    watching.write()
    assert password.read_text() == before


def test_command_line_options(programs: Path, tmp_path: Path) -> None:
    alertmanager, prometheus = make_observability(settings(tmp_path, host="127.0.0.2")).specs
    assert (alertmanager.name, prometheus.name) == ("alertmanager", "prometheus")
    assert alertmanager.command[0] == str(programs / "prometheus-alertmanager")
    assert {"--web.listen-address=127.0.0.2:19093", "--cluster.listen-address=", "--data.retention=120h"} <= {
        *alertmanager.command
    }
    assert {
        "--web.listen-address=127.0.0.2:19090",
        "--storage.tsdb.retention.time=31d",
        "--storage.tsdb.retention.size=4GB",
        r"--web.cors.origin=http://127\.0\.0\.2:19090",
    } <= {*prometheus.command}
    assert not alertmanager.is_core
    assert not prometheus.is_core
    assert (alertmanager.ready_path, prometheus.ready_path) == ("/-/ready", "/-/ready")
    assert not any(each.needs_broker for each in (alertmanager, prometheus))


def test_missing_program_hint_names_installation(programs: Path, tmp_path: Path) -> None:
    (programs / "prometheus-alertmanager").rename(programs / "alertmanager")
    assert find_program("alertmanager") == str(programs / "alertmanager")
    (programs / "alertmanager").unlink()
    with pytest.raises(
        OperatorError, match="prometheus-alertmanager or alertmanager was not found"
    ) as raised:
        make_observability(settings(tmp_path))
    assert raised.value.hint == INSTALL
    assert "apt-get install" in INSTALL


def test_own_configuration_keeps_receivers_and_secrets(programs: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine" / "alertmanager.yml"
    own.parent.mkdir()
    receivers = [
        {"name": "team", "slack_configs": [{"api_url_file": "secret", "channel": "#a"}]},
        {"name": "other", "webhook_configs": [{"url": "http://elsewhere/hook"}]},
        {"name": "retraining", "webhook_configs": [{"url": "http://retraining:8003/triggers"}]},
    ]
    document = {"route": {"receiver": "team"}, "receivers": receivers, "templates": ["/etc/whole.tmpl"]}
    own.write_text(yaml.safe_dump(document))
    config = yaml.safe_load(alertmanager_config(own, "http://127.0.0.1:1", tmp_path / "a.key"))
    team, other, retraining = config["receivers"]
    assert team["slack_configs"][0]["api_url_file"] == str(own.parent / "secret")
    assert other["webhook_configs"][0]["url"] == "http://elsewhere/hook"
    assert retraining["webhook_configs"][0]["url"] == "http://127.0.0.1:1/triggers"
    key = {"type": "Bearer", "credentials_file": str(tmp_path / "a.key")}
    assert retraining["webhook_configs"][0]["http_config"] == {"authorization": key}
    assert "http_config" not in other["webhook_configs"][0]
    assert config["templates"] == ["/etc/whole.tmpl"]
    watching = make_observability(settings(tmp_path, alertmanager_config=own))
    assert "#a" in "".join(watching.files.values())


def test_unreadable_configuration_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    for text in ("route: [", "just words", ""):
        broken.write_text(text)
        with pytest.raises(OperatorError, match="broken.yml"):
            alertmanager_config(broken, "http://127.0.0.1:1", tmp_path / "a.key")


def test_job_without_targets_is_omitted() -> None:
    config = yaml.safe_load(
        prometheus_config(
            {"drift": ["127.0.0.1:1"]},
            [],
            key_file=Path("/p.key"),
            password_file=Path("/p"),
            interval="1s",
            rules=["/r.yml"],
        )
    )
    assert [job["job_name"] for job in config["scrape_configs"]] == ["drift"]
    assert config["rule_files"] == ["/r.yml"]
    assert config["scrape_configs"][0]["authorization"]["credentials_file"] == "/p.key"
    with pytest.raises(OperatorError, match="no job kafka"):
        prometheus_config({"kafka": ["127.0.0.1:1"]}, [], key_file=Path("/p.key"), password_file=Path("/p"))
    assert {"inference", "shipper", "sink", "drift", "retraining", "console"} <= set(scrape_jobs())
