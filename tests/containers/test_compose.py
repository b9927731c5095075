"""compose.yaml is what the Compose specification allows, what the code reads, and what the local stack does."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.encrypted_files import CA
from deploy.containers.keys import API_KEYS, CERTIFICATE, CERTIFICATE_KEY
from docs.reference.settings import all_settings
from local_stack.kafka.config_files import BrokerFiles, properties
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import services as local_services
from services.retraining.isolated_models import SHARE_OF_AVAILABLE
from services.retraining.launchers.training_places import TrainingPlaces
from services.retraining.settings import RetrainingSettings
from shared.access.api_key import KEY_TEXT
from tests.containers.composition import (
    BROKERS,
    COMPOSE,
    GPU,
    KAFKA,
    ROOT,
    TLS,
    VARIABLES,
    is_ours,
    load,
    names_of,
)
from tests.containers.dockerfile import image
from tests.containers.engine.figures import sizes_in
from tests.containers.engine.sizes import BARS_MB
from tests.containers.test_dockerfile import FULL_TAG

LOCAL = {spec.name: spec for spec in local_services(LocalStackSettings(_env_file=None))}
FILES = {
    "compose.yaml": (COMPOSE,),
    "with compose.gpu.yaml": (COMPOSE, GPU),
    "with compose.tls.yaml": (COMPOSE, TLS),
    "with compose.kafka.yaml": (COMPOSE, KAFKA),
    "with compose.brokers.yaml": (COMPOSE, BROKERS),
}
SERVICES: dict[str, Any] = load()["services"]
# As containers.md says one switches the watching on, in .env.
WATCHED: dict[str, Any] = load(variables={**VARIABLES, "COMPOSE_PROFILES": "observability"})["services"]
OURS = [name for name, service in SERVICES.items() if is_ours(service)]
PORTS = {"prometheus": 9090, "alertmanager": 9093, "grafana": 3000, "mlflow": 5000, "kafka": 9092}
PORTS |= {name: spec.port for name, spec in LOCAL.items()}
ONE_SHOTS = {"keys", "topics", "cli", "demo"}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    text = (files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text(
        encoding="utf-8"
    )
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("names", FILES.values(), ids=list(FILES))
def test_it_is_valid_by_the_compose_specification(names: tuple[Path, ...], schema: dict[str, Any]) -> None:
    # Its import takes seconds, and every worker reads this file.
    from jsonschema import Draft202012Validator

    Draft202012Validator(schema).validate(load(*names))
    for name in names:
        Draft202012Validator(schema).validate(yaml.safe_load(name.read_text(encoding="utf-8")))


def test_the_schema_finds_mistakes(schema: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator, ValidationError

    wrong = load()
    wrong["services"]["drift"]["memlimit"] = "1g"
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate(wrong)


def test_it_has_the_profiles_and_the_parts_it_should() -> None:
    by_profile: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for profile in service.get("profiles", ["core"]):
            by_profile.setdefault(profile, set()).add(name)
    assert by_profile == {
        "core": {"keys", "topics", "kafka", "postgres", *LOCAL},
        "observability": {"prometheus", "alertmanager", "grafana", "mlflow"},
        "demo": {"demo"},
        "tools": {"cli"},
    }


@pytest.mark.parametrize("names", FILES.values(), ids=list(FILES))
def test_every_image_is_pinned_by_its_whole_version(names: tuple[Path, ...]) -> None:
    version = re.search(
        r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert version is not None
    for name, service in load(*names)["services"].items():
        assert FULL_TAG.match(service["image"]), f"{name}: {service['image']}"
        if is_ours(service):
            assert service["image"].endswith(f":{version[1]}"), name


def test_an_image_has_one_way_to_be_built() -> None:
    builds: dict[str, set[str]] = {}
    for service in [*SERVICES.values(), load(COMPOSE, GPU)["services"]["inference"]]:
        if is_ours(service):
            builds.setdefault(service["image"], set()).add(json.dumps(service["build"], sort_keys=True))
    assert {name for name, ways in builds.items() if len(ways) > 1} == set()


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_of_the_code(name: str) -> None:
    known = {setting.variable for setting in all_settings()}
    known |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION"} if name == "mlflow" else set()
    assert set(SERVICES[name].get("environment", {})) <= known


@pytest.mark.parametrize("name", OURS)
def test_the_values_are_ones_the_settings_take(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from docs.reference.settings import settings_classes

    given = {**image_environment(name), **SERVICES[name].get("environment", {})}
    for variable, value in given.items():
        monkeypatch.setenv(variable, str(value))
    # The files of the secrets are not here.
    monkeypatch.delenv("HOMEOSTAT_GRAFANA_PASSWORD_FILE", raising=False)
    for one in settings_classes():
        one()


def image_environment(name: str) -> dict[str, str]:
    build = SERVICES[name]["build"]
    return image(build["target"], build["args"]).environment


@pytest.mark.parametrize("name", LOCAL)
def test_a_part_is_where_the_local_stack_has_it(name: str) -> None:
    assert SERVICES[name]["ports"] == [f"127.0.0.1:{LOCAL[name].port}:{LOCAL[name].port}"]
    assert "command" not in SERVICES[name], "the image says how it starts"
    assert "healthcheck" not in SERVICES[name], "the image says how one sees that it is ready"


def test_every_published_port_is_this_machines_alone_and_nobodys_twice() -> None:
    published = [text for service in SERVICES.values() for text in service.get("ports", ())]
    assert len(published) == len(set(published)) >= 10
    for text in published:
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", text), text


def test_addresses_between_parts_are_names_and_ports_of_the_composition() -> None:
    text = json.dumps(WATCHED)
    found = re.findall(r"(?:://|@)?\b([a-z]+):(\d{4,5})\b", text)
    ports = {**PORTS, "postgres": 5432}
    named = {(name, int(port)) for name, port in found if name in SERVICES and int(port) != 19092}
    assert {name for name, _ in named} >= {
        "kafka",
        "postgres",
        "grafana",
        "mlflow",
        "inference",
        "drift",
        "retraining",
    }
    assert {(name, port) for name, port in named if ports[name] != port} == set()


@pytest.mark.parametrize("name", [*LOCAL, "cli", "demo"])
def test_with_tls_every_part_has_its_files_and_addresses(name: str) -> None:
    encrypted = load(COMPOSE, TLS)["services"][name]
    given, plain = encrypted["environment"], SERVICES[name]["environment"]
    known = {setting.variable for setting in all_settings()}
    assert set(given) - set(plain) <= known
    named = {str(value) for variable, value in given.items() if variable.startswith("HOMEOSTAT_TLS_")} - {""}
    mounted = {secret["target"] for secret in encrypted["secrets"] if isinstance(secret, dict)}
    assert named == mounted
    # Each service has its own addresses over TLS, and nothing else of ours changes.
    changed = {variable for variable in plain if given[variable] != plain[variable]}
    ours = re.compile(rf"http://({'|'.join(LOCAL)}):")
    assert changed == {variable for variable in plain if ours.match(str(plain[variable]))}
    assert {given[variable].replace("https://", "http://") for variable in changed} == {
        plain[variable] for variable in changed
    }


@pytest.mark.parametrize("name", ["topics", "shipper", "sink", "drift", "retraining", "cli"])
def test_every_client_of_a_kafka_cluster_has_its_settings(name: str) -> None:
    service = load(COMPOSE, KAFKA)["services"][name]
    given = {variable: value for variable, value in service["environment"].items() if "_KAFKA" in variable}
    assert set(given) <= {setting.variable for setting in all_settings()}
    files = {f"/run/secrets/{secret}" for secret in service["secrets"]}
    assert {given["HOMEOSTAT_KAFKA_PASSWORD_FILE"], given["HOMEOSTAT_KAFKA_CA"]} <= files
    assert given["HOMEOSTAT_KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_with_tls_the_monitoring_reads_the_files_for_it(name: str) -> None:
    encrypted = load(COMPOSE, TLS)["services"][name]
    words = [
        re.sub(rf"/({name}|web)\.yml$", r"/\1.tls.yml", word).replace("http://localhost", "https://localhost")
        for word in SERVICES[name]["command"]
    ]
    assert words == encrypted["command"]
    mounted = {secret["target"] for secret in encrypted["secrets"] if isinstance(secret, dict)}
    assert mounted == {CA, CERTIFICATE, CERTIFICATE_KEY}
    # Its user is not the one of our containers, who owns the key; it reads it as a member of the group.
    assert encrypted["group_add"] == [SERVICES["inference"]["user"].split(":")[1]]
    check = " ".join(encrypted["healthcheck"]["test"])
    assert "/client.tls.yml" in check
    assert f"https://localhost:{PORTS[name]}" in check
    for part in ("console", "cli"):
        variables = {**VARIABLES, "COMPOSE_PROFILES": "observability"}
        given = load(COMPOSE, TLS, variables=variables)["services"][part]["environment"]
        assert given[f"HOMEOSTAT_{name.upper()}_URL"] == f"https://{name}:{PORTS[name]}"


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_monitoring_needs_a_login_that_its_readers_have(name: str) -> None:
    service = SERVICES[name]
    assert "--web.config.file=/etc/monitoring/web.yml" in service["command"]
    assert names_of(service)["monitoring"] == "/etc/monitoring"
    assert "--http.config.file=/etc/monitoring/client.yml" in service["healthcheck"]["test"]
    for reader in (name, "grafana", "console", "cli", "keys"):
        assert "monitoring_password" in SERVICES[reader]["secrets"], reader
    for reader in ("console", "cli"):
        assert (
            SERVICES[reader]["environment"]["HOMEOSTAT_MONITORING_PASSWORD_FILE"]
            == "/run/secrets/monitoring_password"
        )
    # Nobody who serves or trains can ask or silence them.
    for other in ("inference", "shipper", "sink", "drift", "retraining"):
        assert "monitoring_password" not in SERVICES[other].get("secrets", ())


def test_what_prometheus_scrapes_is_the_composition() -> None:
    config = yaml.safe_load((ROOT / "dashboards/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    targets = {
        job["job_name"]: target
        for job in config["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    }
    for name in ("inference", "shipper", "sink", "drift", "retraining", "console"):
        assert targets[name] == f"{name}:{PORTS[name]}"
    for name, target in targets.items():
        host, port = target.split(":")
        assert PORTS[name if host == "localhost" else host] == int(port)
    alertmanagers = config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert alertmanagers == [f"alertmanager:{PORTS['alertmanager']}"]


def test_alertmanager_sends_drift_alerts_to_retraining() -> None:
    text = (ROOT / "dashboards/alertmanager/alertmanager.yml").read_text(encoding="utf-8")
    assert f"http://retraining:{PORTS['retraining']}/triggers" in text


def test_the_broker_has_the_settings_the_tests_run_a_real_one_with(tmp_path: Path) -> None:
    local = dict(line.split("=", 1) for line in properties(BrokerFiles(tmp_path, 9092, 19092)).splitlines())
    given = {
        name.removeprefix("KAFKA_").replace("_", ".").lower(): str(value)
        for name, value in SERVICES["kafka"]["environment"].items()
        if name.startswith("KAFKA_") and name not in ("KAFKA_HEAP_OPTS", "KAFKA_LOG4J_ROOT_LOGLEVEL")
    }
    endpoints = {
        "listeners": "PLAINTEXT://0.0.0.0:9092,CONTROLLER://0.0.0.0:19092",
        "advertised.listeners": "PLAINTEXT://kafka:9092",
        "controller.quorum.voters": "1@kafka:19092",
        "log.dirs": "/var/lib/kafka/data",
        "inter.broker.listener.name": "PLAINTEXT",
    }
    assert given == {**local, **endpoints}


def test_three_brokers_are_that_broker_three_times() -> None:
    """But for its number, its address, and the copies, of which two must exist before a record counts as delivered."""
    services = load(COMPOSE, BROKERS)["services"]
    alone, brokers = SERVICES["kafka"], ("kafka", "kafka-2", "kafka-3")
    voters = ",".join(f"{number}@{name}:19092" for number, name in enumerate(brokers, 1))
    for number, name in enumerate(brokers, 1):
        expected = {
            **alone["environment"],
            "KAFKA_NODE_ID": str(number),
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{name}:9092",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": voters,
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "3",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "3",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "2",
            "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "3",
            "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "2",
        }
        assert services[name]["environment"] == expected, name
        differing = {key for key in alone if services[name].get(key) != alone[key]}
        assert differing <= {"environment", "volumes"}, name
    assert len({services[name]["volumes"][0] for name in brokers}) == 3
    assert set(brokers) == set(services["topics"]["depends_on"])
    clients = {name for name in SERVICES if "HOMEOSTAT_KAFKA" in SERVICES[name].get("environment", {})}
    for name in clients - {
        "inference",
        "console",
        "keys",
        "demo",
    }:  # these have the setting, and speak to no broker
        given = services[name]["environment"]
        assert given["HOMEOSTAT_KAFKA"] == "kafka:9092,kafka-2:9092,kafka-3:9092", name
        assert given["HOMEOSTAT_KAFKA_REPLICATION"] == "3", name


def test_the_broker_is_of_the_version_the_tests_run() -> None:
    jars = (ROOT / "locks/kafka-jars.txt").read_text(encoding="utf-8")
    version = SERVICES["kafka"]["image"].split(":")[1]
    assert f"org.apache.kafka:kafka-server:{version} " in jars


def test_mlflow_is_of_the_version_of_its_client() -> None:
    def locked(lock: str, package: str) -> list[str]:
        lines = (ROOT / "locks" / f"{lock}.txt").read_text(encoding="utf-8").splitlines()
        return [line.split("==")[1].split()[0] for line in lines if line.startswith(f"{package}==")]

    assert SERVICES["mlflow"]["build"]["args"]["LOCK"] == "mlflow"
    assert locked("mlflow", "mlflow") == locked("retraining", "mlflow-skinny") == ["3.17.2"]


@pytest.mark.parametrize("name", SERVICES)
def test_containers_have_minimal_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert service.get("network_mode") in (None, "none")
    if name != "kafka":
        assert service["read_only"] is True
        # A number or the image's own lesser user; the broker's image sets one itself.
        assert str(service["user"]).split(":")[0] not in ("", "0", "root")
    if is_ours(service):
        assert service["user"] == image(service["build"]["target"], service["build"]["args"]).user
        assert service["init"] is True
        assert any(text.startswith("/tmp:") for text in service["tmpfs"])


@pytest.mark.parametrize("name", SERVICES)
def test_containers_have_resource_limits(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["cpus"] <= 2
    assert service["pids_limit"] <= 512
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"] == ("no" if name in ONE_SHOTS else "unless-stopped")
    assert re.fullmatch(r"\d+s", service["stop_grace_period"])


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ONE_SHOTS])
def test_whatever_stays_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    check = service.get("healthcheck", {}).get("test")
    if check is None:
        assert is_ours(service)
        assert image(service["build"]["target"], service["build"]["args"]).healthcheck
    else:
        assert check[0] == "CMD", "no shell"
        assert service["healthcheck"].keys() >= {"interval", "timeout", "start_period", "retries"}
        # Two minutes and more were seen on a busy machine. A long grace time delays nothing: the first success ends it.
        assert service["healthcheck"]["start_period"] == "300s"
    assert name not in PORTS or str(PORTS[name]) in " ".join(check or image_healthcheck(name))


def image_healthcheck(name: str) -> list[str]:
    build = SERVICES[name]["build"]
    return image(build["target"], build["args"]).healthcheck


def waits_for(name: str) -> dict[str, str]:
    return {other: how["condition"] for other, how in SERVICES[name].get("depends_on", {}).items()}


def test_dependencies_wait_for_readiness_without_a_cycle() -> None:
    for name in SERVICES:
        for other, condition in waits_for(name).items():
            one_shot = "service_completed_successfully"
            assert condition == (one_shot if other in ONE_SHOTS else "service_healthy"), f"{name}: {other}"
            assert other in SERVICES
            profiles = SERVICES[other].get("profiles")
            assert profiles is None or profiles == SERVICES[name].get("profiles"), (
                f"{name} waits for what may not start"
            )
    order: list[str] = []
    while len(order) < len(SERVICES):
        ready = [name for name in SERVICES if name not in order and set(waits_for(name)) <= set(order)]
        assert ready, "a circle"
        order += ready


def test_serving_and_monitoring_are_no_start_dependencies() -> None:
    assert set(waits_for("inference")) == {"keys"}
    assert waits_for("keys") == {}
    assert set(waits_for("console")) == {"keys"}
    watching = {"prometheus", "alertmanager", "grafana", "mlflow", "console"}
    for name in set(SERVICES) - watching:
        assert not watching & set(waits_for(name)), name
    for name in ("shipper", "sink", "drift", "retraining"):
        assert "topics" in waits_for(name)
    assert waits_for("topics") == {"kafka": "service_healthy"}
    assert "postgres" in waits_for("retraining")


def test_volumes_are_named_used_and_mounted_where_the_image_has_a_folder_for_them() -> None:
    declared = set(load()["volumes"])
    used: set[str] = set()
    for name, service in SERVICES.items():
        mounted = names_of(service)
        used |= set(mounted)
        if is_ours(service):
            run = " ".join(image(service["build"]["target"], service["build"]["args"]).runs)
            for place in mounted.values():
                assert re.search(rf" {place}( |$)", run), f"{name}: {place} would belong to root"
    assert used == declared


def test_no_volume_without_a_name_is_left_behind() -> None:
    """Where an image declares a volume, Docker makes one without a name unless something is mounted there."""
    declared = {
        "kafka": {"/etc/kafka/secrets", "/mnt/shared/config", "/var/lib/kafka/data"},
        "postgres": {"/var/lib/postgresql/data"},
        "prometheus": {"/prometheus"},
        "alertmanager": {"/alertmanager"},
    }
    for name, places in declared.items():
        covered = {text.split(":")[0] for text in SERVICES[name].get("tmpfs", ())}
        covered |= set(names_of(SERVICES[name]).values())
        assert places <= covered, name


def test_the_first_to_mount_a_volume_of_ours_writes_it() -> None:
    """An engine may take a volume's owner from the image at its first mount: that one must not be read-only."""
    ours = {volume for name in OURS for volume in names_of(SERVICES[name])}
    assert set(names_of(SERVICES["keys"])) == ours
    assert not any(text.endswith(":ro") for text in SERVICES["keys"]["volumes"])
    for name in OURS:
        if name != "keys" and names_of(SERVICES[name]):
            behind, seen = set(waits_for(name)), set[str]()
            while behind - seen:
                other = (behind - seen).pop()
                seen.add(other)
                behind |= set(waits_for(other))
            assert "keys" in behind, name


def test_each_mounts_only_what_it_works_with() -> None:
    writers: dict[str, set[str]] = {}
    for name in OURS:
        for text in SERVICES[name].get("volumes", ()):
            if not text.endswith(":ro") and not text.startswith("./") and name != "keys":
                writers.setdefault(text.split(":")[0], set()).add(name)
    assert writers == {
        "spool": {"inference", "shipper"},
        "api_keys": {"cli"},
        "tasks": {"inference"},
        "lake": {"sink"},
        "drift": {"drift"},
        "reports": {"drift"},
        "models": {"retraining", "cli", "demo"},
        "runs": {"retraining"},
        "evaluations": {"retraining"},
        "sink_run": {"sink"},
        "retraining_run": {"retraining"},
        "demo": {"demo"},
        "mlflow": {"mlflow"},
    }
    signs = {name for name in OURS if "keys" in names_of(SERVICES[name])}
    assert signs == {"keys", "retraining", "cli", "demo"}


def test_every_mounted_file_is_in_the_repository_and_cannot_be_written() -> None:
    found = set()
    for service in SERVICES.values():
        for text in service.get("volumes", ()):
            if text.startswith("./"):
                source, _, mode = text.split(":")
                assert (ROOT / source).exists(), f"{source} is mounted and is not there"
                assert mode == "ro"
                found.add(source)
    assert {"./dashboards/prometheus", "./dashboards/alertmanager"} <= found


def named(services: dict[str, Any]) -> dict[str, set[str]]:
    """By service: the others that its settings lead to."""
    return {
        name: {
            other
            for value in service.get("environment", {}).values()
            for other in services
            if re.search(rf"(://|@|^){other}:\d", str(value))
        }
        for name, service in services.items()
    }


def test_only_what_runs_is_named_to_who_would_miss_it() -> None:
    """A part that is named and does not answer is reported as a fault: the default start must not name what is in a profile."""
    optional = {name for name, service in SERVICES.items() if "profiles" in service}
    # MLflow is a mirror: a run's record waits for it, and its absence is not reported as a fault.
    missing = {name: others & optional - {"mlflow"} for name, others in named(SERVICES).items()}
    assert {name: others for name, others in missing.items() if others} == {}
    watched = named(WATCHED)
    assert watched["console"] >= {"prometheus", "alertmanager", "grafana"}
    assert watched["cli"] >= {"prometheus", "alertmanager", "grafana"}
    assert "grafana" in watched["drift"] & watched["retraining"]
    page = (ROOT / "docs/containers.md").read_text(encoding="utf-8")
    assert "echo COMPOSE_PROFILES=observability >>.env" in page
    for text in (page, COMPOSE.read_text(encoding="utf-8")):
        assert "--profile observability" not in text, "then no service has their addresses"


def test_the_default_start_expects_nothing_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the console and the doctor conclude from the composition's settings."""
    from cli.checks.prometheus import endpoint_of
    from services.console.aggregation.endpoints import find_endpoints
    from services.console.settings import ConsoleSettings

    def monitoring_of(services: dict[str, Any]) -> tuple[list[str], bool]:
        for variable, value in services["console"]["environment"].items():
            monkeypatch.setenv(variable, str(value))
        settings = LocalStackSettings()
        endpoints = find_endpoints(ConsoleSettings())
        watching = [endpoints.prometheus, endpoints.alertmanager, endpoints.grafana]
        return watching, endpoint_of(settings, None, "prometheus", settings.prometheus_url, 9090)[1]

    assert monitoring_of(SERVICES) == (["", "", ""], False)
    assert monitoring_of(WATCHED) == (
        ["http://prometheus:9090", "http://alertmanager:9093", "http://grafana:3000"],
        True,
    )


@pytest.mark.parametrize("name", ["inference", "retraining", "cli"])
def test_a_big_version_can_be_given_room(name: str) -> None:
    def space(variables: dict[str, str]) -> str:
        tmpfs = load(variables={**VARIABLES, **variables})["services"][name]["tmpfs"]
        [found] = [text for text in tmpfs if text.startswith("/tmp:")]
        return str(found)

    assert space({}) == "/tmp:size=1g,mode=1777"
    assert space({"VERSION_SPACE": "3g"}) == "/tmp:size=3g,mode=1777"
    memory = load(COMPOSE, GPU, variables={**VARIABLES, "INFERENCE_MEMORY": "12g"})["services"]["inference"]
    assert memory["mem_limit"] == "12g"
    assert (SERVICES["inference"]["mem_limit"], load(COMPOSE, GPU)["services"]["inference"]["mem_limit"]) == (
        "2g",
        "8g",
    )
    page = (ROOT / "docs/containers.md").read_text(encoding="utf-8")
    assert "`VERSION_SPACE`" in page
    assert "`INFERENCE_MEMORY`" in page


def test_trainings_and_a_model_fit_into_the_limit() -> None:
    service, unit = SERVICES["retraining"], {"m": 1 << 20, "g": 1 << 30}
    [space] = re.findall(r"/tmp:size=(\d+)g", " ".join(service["tmpfs"]))
    limit = int(service["mem_limit"][:-1]) * unit[service["mem_limit"][-1]]
    settings = RetrainingSettings(_env_file=None)
    together = int(service["environment"]["HOMEOSTAT_RETRAINING_TRAINING_TOTAL_MEMORY_BYTES"])
    # The service itself peaks at 448 MiB, in a snapshot of ten million rows.
    left = limit - int(space) * unit["g"] - 512 * unit["m"]
    assert settings.model_memory_bytes == 0
    assert together + SHARE_OF_AVAILABLE * left <= left
    # The templates' training commands need less than 512 MiB, and declare nothing.
    places = TrainingPlaces(settings.runs_at_once, together)
    assert places.memory_of(0) >= 512 * unit["m"]
    waiting = [(f"run-{number}", places.memory_of(0)) for number in range(settings.runs_at_once)]
    assert len(places.admit(waiting, {})) == settings.runs_at_once
    assert places.admit([("another", places.memory_of(0))], {"large": places.memory_of(8 << 30)}) == []


def test_no_password_has_a_default() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    for file in re.findall(r"^    file: (.+)$", text, re.MULTILINE):
        assert file.startswith("${SECRETS:?"), file
    with pytest.raises(KeyError, match="SECRETS must be set"):
        load(variables={"KAFKA_CLUSTER_ID": "x"})
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET", variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert re.fullmatch(r"/run/secrets/[a-z_]+", value)
                assert value.rsplit("/", 1)[1] in service["secrets"]
            assert not re.search(r"://[^/\s]+:[^/\s]+@", str(value)), f"{name}: {variable} holds a password"
    assert set(load()["secrets"]) == {name for one in SERVICES.values() for name in one.get("secrets", ())}


def test_one_command_makes_what_must_be_set_and_keeps_what_is_there(tmp_path: Path) -> None:
    script = tmp_path / "deploy" / "containers" / "secrets.sh"
    script.parent.mkdir(parents=True)
    (tmp_path / "secrets").mkdir(mode=0o755)
    script.write_bytes((ROOT / "deploy/containers/secrets.sh").read_bytes())
    (tmp_path / ".env").write_text("HOMEOSTAT_LOG_LEVEL=debug")
    for _ in range(2):
        subprocess.run(["bash", str(script)], check=True, capture_output=True)
        made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
        variables = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())
        found = load(variables=variables)
        assert {Path(one["file"]).name for one in found["secrets"].values()} == set(made)
        before = locals().get("kept", (made, variables))
        kept = (made, variables)
        assert kept == before
    assert variables["HOMEOSTAT_LOG_LEVEL"] == "debug"
    keys = {name: text for name, text in made.items() if name.endswith("_key")}
    assert set(keys) == {f"{name}_key" for name in API_KEYS}
    assert all(KEY_TEXT.fullmatch(text.strip()) for text in keys.values())
    assert all(re.fullmatch(r"[\w-]{32}", made[name]) for name in made.keys() - keys.keys())
    assert len(set(made.values())) == 4 + len(API_KEYS)
    # The folder keeps other users of the machine out; a container's user reads the file that is mounted for it.
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "secrets").iterdir()} == {0o644}
    assert re.fullmatch(r"[\w-]{22}", variables["KAFKA_CLUSTER_ID"])


def test_secrets_are_ignored_by_git() -> None:
    for place in ("secrets/ledger_password", ".env"):
        done = subprocess.run(["git", "check-ignore", "-q", place], cwd=ROOT)
        assert done.returncode == 0, f"{place} could be committed"


def test_the_gpu_file_changes_serving_and_nothing_else() -> None:
    over = load(COMPOSE, GPU)["services"]
    assert [name for name in SERVICES if SERVICES[name] != over[name]] == ["inference"]
    gpu = over["inference"]
    assert gpu["environment"]["HOMEOSTAT_INFERENCE_DEVICE"] == "cuda"
    assert gpu["build"]["target"] == "inference"
    devices = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    built = image("inference", gpu["build"]["args"])
    assert built.environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"


def test_the_backup_takes_what_cannot_be_made_again() -> None:
    page = (ROOT / "docs/containers.md").read_text(encoding="utf-8").partition("\n## Volumes and backup\n")[2]
    block, restore = re.findall(r"^```bash\n(.*?)^```$", page.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    loop = re.search(r"^for volume in (.+); do$", block, re.MULTILINE)
    assert loop is not None
    assert (
        set(loop[1].split())
        == {"keys", "server_keys", "api_keys", "models", "lake"}
        <= set(load()["volumes"])
    )
    assert f"{load()['name']}_$volume:/from:ro" in block
    # Postgres asks for its password on every address, this machine's own as well; nobody is there to type it.
    assert "scram-sha-256" in SERVICES["postgres"]["environment"]["POSTGRES_INITDB_ARGS"]
    [dump] = [line for line in block.splitlines() if "pg_dumpall" in line]
    assert re.search(r"exec -T postgres sh -c 'PGPASSWORD=\$\(cat /run/secrets/postgres_password\) ", dump)
    assert "postgres_password" in SERVICES["postgres"]["secrets"]
    assert dump.endswith(" >backup/ledger.sql")
    assert "for volume in " + loop[1] in restore
    assert subprocess.run(["bash", "-n"], input=restore, text=True, check=False).returncode == 0
    assert subprocess.run(["bash", "-n"], input=block, text=True, check=False).returncode == 0


def test_sizes_in_the_page_are_within_their_bars() -> None:
    """`make containers WRITE=1` writes them from what it measured."""
    sizes = sizes_in((ROOT / "docs/containers.md").read_text(encoding="utf-8"))
    images = {SERVICES[name]["image"].split("/")[1].split(":")[0] for name in OURS}
    assert set(sizes) == images
    assert {name: sizes[name] for name, bar in BARS_MB.items() if sizes[name] > bar} == {}
