"""What helm renders: valid for Kubernetes, with settings, routes, keys and folders that the code and the images have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.containers.keys import API_KEYS
from deploy.kubernetes.keys import completed
from docs.reference.settings import all_settings, settings_classes
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import services as local_services
from shared.access.route_table import PUBLIC, ROUTES
from tests.containers.composition import load
from tests.containers.dockerfile import image
from tests.kubernetes.chart import (
    BARE,
    CHART,
    EVERYTHING,
    NAMESPACE,
    SMALLEST,
    Manifest,
    containers,
    environment,
    helm,
    merged,
    named,
    pods,
    render,
)

LOCAL = {spec.name: spec for spec in local_services(LocalStackSettings(_env_file=None))}
SERVICES = load()["services"]
# Entries of secrets.existingSecret, as docs/kubernetes.md names them: the files of secrets.sh, and those of compose.kafka.yaml.
PASSWORDS = {"ledger_password", "grafana_password", "monitoring_password", "kafka_password", "kafka_ca.pem"}


def test_helm_finds_no_fault_with_the_chart() -> None:
    done = helm("lint", "--strict", str(CHART), values=EVERYTHING)
    assert done.returncode == 0, done.stdout + done.stderr


def test_helm_refuses_values_by_the_schema() -> None:
    done = helm("template", "homeostat", str(CHART), values={})
    assert done.returncode != 0
    assert "modelStore" in done.stderr


def test_missing_secret_of_passwords_is_named() -> None:
    values = merged(SMALLEST, {"ledger": {"url": "postgresql://homeostat@db:5432/ledger"}})
    done = helm("template", "homeostat", str(CHART), values=values)
    assert "secrets.existingSecret must be set: it holds ledger_password" in done.stderr


# Follows from the limit and the temporary folder in memory of a container of the composition.
ONLY_COMPOSED = {"HOMEOSTAT_RETRAINING_TRAINING_TOTAL_MEMORY_BYTES"}


def test_every_service_runs_with_its_settings_of_the_composition(everything: list[Manifest]) -> None:
    found = {one["name"]: one for pod in pods(everything).values() for one in containers(pod)}
    assert set(found) == {*LOCAL, "cli", "keys", "topics"}
    for name in (*LOCAL, "cli"):
        composed = set(SERVICES[name]["environment"]) - ONLY_COMPOSED
        assert composed - set(environment(found[name])) == set(), name


def test_variables_are_settings_that_take_their_values(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {setting.variable for setting in all_settings()}
    for pod in pods(manifests).values():
        for container in containers(pod):
            given = environment(container)
            assert {name for name in given if not name.startswith("AWS_")} <= known
            with monkeypatch.context() as patch:
                for name, value in given.items():
                    if not name.endswith("_FILE"):
                        patch.setenv(name, value)
                for one in settings_classes():
                    one()


def test_images_start_as_they_say(manifests: list[Manifest]) -> None:
    """Only one-shots and the command line have commands of their own."""
    for pod in pods(manifests).values():
        for container in containers(pod):
            assert ("command" in container) == (container["name"] in ("keys", "topics", "cli"))
            assert re.fullmatch(r"[a-z0-9./-]+:\d+\.\d+\.\d+", container["image"])


def test_registry_and_tag_are_those_of_the_values(everything: list[Manifest]) -> None:
    found = {one["image"] for pod in pods(everything).values() for one in containers(pod)}
    names = (*LOCAL, "cli")
    wanted = {f"registry.example.com/ml/homeostat/{name}:1.2.3" for name in names} - {
        "registry.example.com/ml/homeostat/inference:1.2.3"
    }
    assert found == wanted | {"registry.example.com/ml/homeostat/inference-cuda:1.2.3"}


def test_probes_ask_routes_that_need_no_key(manifests: list[Manifest]) -> None:
    probed = {}
    for pod in pods(manifests).values():
        for container in containers(pod):
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
            probes = {name: container[name] for name in container if name.endswith("Probe")}
            for probe in probes.values():
                assert ROUTES[container["name"]]["GET", probe["httpGet"]["path"]] is PUBLIC
                assert ports[probe["httpGet"]["port"]] == LOCAL[container["name"]].port
            if probes:
                probed[container["name"]] = set(probes)
    every = {"startupProbe", "livenessProbe", "readinessProbe"}
    # Predictions depend on nothing but inference: a shipper that is not ready must not take the pod out of the Service.
    assert probed == {name: every if name != "shipper" else {"livenessProbe"} for name in LOCAL}


def test_pods_are_hardened(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        user = f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
        assert user == image("service", {"SERVICE": "cli", "LOCK": "cli"}).user
        jobs = "HOMEOSTAT_RETRAINING_KUBERNETES_IMAGE" in environment(spec["containers"][0])
        assert spec["automountServiceAccountToken"] is (name == "keys-job" or jobs)
        assert spec["serviceAccountName"] == (
            f"homeostat-{name}" if spec["automountServiceAccountToken"] else "homeostat"
        )
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]


def test_services_of_the_cluster_set_no_variables(manifests: list[Manifest]) -> None:
    """A Service named homeostat-drift would otherwise set HOMEOSTAT_DRIFT_PORT to an address."""
    assert "homeostat-drift" in named(manifests, "Service")
    assert "HOMEOSTAT_DRIFT_PORT" in {setting.variable for setting in all_settings()}
    assert {pod["spec"]["enableServiceLinks"] for pod in pods(manifests).values()} == {False}


def secret_entries(manifests: list[Manifest]) -> Iterator[tuple[str, str]]:
    """Every Secret that is named, and the entry of it; an empty entry for the whole Secret."""

    def visit(value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, list):
            for one in value:
                yield from visit(one)
        elif isinstance(value, dict):
            for key in ("secret", "secretRef", "credentials"):
                one = value.get(key)
                if not isinstance(one, dict):
                    continue
                name = one.get("secretName", one.get("name"))
                if name and "key" in one:
                    yield name, one["key"]
                elif name:
                    yield from ((name, item["key"]) for item in one.get("items", [{"key": ""}]))
            for one in value.values():
                yield from visit(one)

    return visit(manifests)


def test_every_secret_that_is_mounted_has_its_entry(everything: list[Manifest], tmp_path: Path) -> None:
    made = set(completed({}, tmp_path))
    entries = {
        "homeostat-keys": made,
        "passwords": PASSWORDS,
        "certificates": {"", "ca.crt"},
        "object-store": {""},
    }
    found = set(secret_entries(everything))
    assert {(name, entry) for name, entry in found if entry not in entries.get(name, ())} == set()
    assert {entry for name, entry in found if name == "passwords"} == PASSWORDS
    assert {"prometheus_key", "console_key", "admin_key"} <= {entry for _, entry in found}
    assert {f"{name}_key" for name in API_KEYS} <= made


def test_own_secrets_replace_the_job() -> None:
    manifests = render(BARE)
    assert {name for name, _ in secret_entries(manifests)} == {"installation-keys"}
    assert named(manifests, "Job") == {}
    assert named(manifests, "Role") == {}


def test_keys_job_may_read_and_write_one_secret(smallest: list[Manifest]) -> None:
    [role] = named(smallest, "Role").values()
    for rule in role["rules"]:
        assert rule["resources"] == ["secrets"]
        assert rule["verbs"] == ["create"] or rule["resourceNames"] == ["homeostat-keys"]
    job = named(smallest, "Job")["homeostat-keys-job"]
    assert job["spec"]["template"]["spec"]["containers"][0]["command"][-1] == "homeostat-keys"
    for one in (role, job, named(smallest, "ServiceAccount")["homeostat-keys-job"]):
        policy = one["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert "hook-succeeded" in policy, "its rights end with it"


def test_retraining_may_run_jobs_and_nothing_else(
    everything: list[Manifest], smallest: list[Manifest]
) -> None:
    """What the launcher calls: see its hint about the role."""
    role = named(everything, "Role")["homeostat-retraining"]
    allowed = {
        (*rule["apiGroups"], *rule["resources"], verb) for rule in role["rules"] for verb in rule["verbs"]
    }
    jobs = {("batch", "jobs", verb) for verb in ("create", "get", "list", "delete")}
    assert allowed == jobs | {("", "pods", "list"), ("", "pods/log", "get")}
    binding = named(everything, "RoleBinding")["homeostat-retraining"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "homeostat-retraining", "namespace": NAMESPACE}
    ]
    assert "homeostat-retraining" in named(everything, "ServiceAccount")
    assert "homeostat-retraining" not in named(smallest, "Role")


def test_job_of_a_training_finds_run_and_project_on_the_claim(everything: list[Manifest]) -> None:
    """The launcher mounts folders below the home by their path: the claim has them at the same path."""
    spec = pods(everything)["retraining"]["spec"]
    [container] = spec["containers"]
    [claim] = [
        volume["persistentVolumeClaim"]["claimName"] for volume in spec["volumes"] if volume["name"] == "data"
    ]
    given = environment(container)
    assert given["HOMEOSTAT_RETRAINING_KUBERNETES_CLAIM"] == claim
    assert given["HOMEOSTAT_RETRAINING_KUBERNETES_NAMESPACE"] == NAMESPACE
    paths = {
        mount["mountPath"]: mount["subPath"] for mount in container["volumeMounts"] if mount["name"] == "data"
    }
    assert paths.keys() >= {"/data/runs", "/data/projects"}
    assert {place.removeprefix("/data/") for place in paths} == set(paths.values())
    assert (
        image("service", {"SERVICE": "retraining", "LOCK": "retraining"}).environment["HOMEOSTAT_HOME"]
        == "/data"
    )


def test_only_what_packages_versions_gets_the_signing_key(everything: list[Manifest]) -> None:
    signing, reached = set(), {}
    for name, pod in pods(everything).items():
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
        for container in containers(pod):
            keys = [
                mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == "/data/keys"
            ]
            files = {item["key"] for key in keys for item in volumes[key]["secret"]["items"]}
            reached[container["name"]] = files
            signing |= {name} if "signing.pem" in files else set()
    assert signing == {"retraining", "cli"}
    assert reached["inference"] == {"signing.pub", "prediction_id.key", "pseudonyms.key"}
    assert reached["shipper"] == reached["sink"] == {"prediction_log.key"}
    assert reached["drift"] == {"signing.pub", "verdicts.key", "prediction_log.key"}
    assert reached["console"] == set()
    # It can neither write rows into the lake nor look up whose pseudonym one is.
    assert reached["retraining"] == {"signing.pem", "signing.pub", "prediction_id.key", "verdicts.key"}


def test_volumes_are_mounted_where_the_images_have_folders(manifests: list[Manifest]) -> None:
    folders = " ".join(image("service", {"SERVICE": "cli", "LOCK": "cli"}).runs)
    for pod in pods(manifests).values():
        declared = {volume["name"] for volume in pod["spec"].get("volumes", ())} | {"data"}
        for container in containers(pod):
            for mount in container["volumeMounts"]:
                assert mount["name"] in declared
                place = mount["mountPath"]
                writes = not mount.get("readOnly") and place not in ("/tmp", "/data/shared", "/data/ledger")
                assert not writes or re.search(rf" {place}( |$)", folders), place


def test_what_a_service_writes_is_on_its_volume(everything: list[Manifest]) -> None:
    written = {
        container["name"]: {
            mount["mountPath"]
            for mount in container["volumeMounts"]
            if not mount.get("readOnly") and mount["mountPath"] not in ("/tmp", "/data/shared")
        }
        for pod in pods(everything).values()
        for container in containers(pod)
    }
    assert written == {
        "inference": {"/data/spool", "/data/tasks"},
        "shipper": {"/data/spool"},
        "sink": {"/data/run"},
        "drift": {"/data/drift", "/data/reports"},
        "retraining": {"/data/runs", "/data/evaluations", "/data/run", "/data/ledger"},
        "cli": {"/data/logs", "/data/projects"},
        **{name: set() for name in ("console", "topics", "keys")},
    }


def test_shipper_ends_after_inference_with_time_to_ship(smallest: list[Manifest]) -> None:
    spec = pods(smallest)["inference"]["spec"]
    [shipper] = spec["initContainers"]
    assert (shipper["name"], shipper["restartPolicy"]) == ("shipper", "Always")
    [inference] = spec["containers"]
    drains = [
        float(environment(inference)["HOMEOSTAT_INFERENCE_DRAIN_SECONDS"]),
        float(environment(shipper)["HOMEOSTAT_SHIPPER_DRAIN_SECONDS"]),
    ]
    # BentoML gives its processes 30 s, the drain included.
    assert spec["terminationGracePeriodSeconds"] >= 30 + drains[1] + 15
    assert min(drains) > 0


def test_gpu_servers_are_on_gpu_nodes(everything: list[Manifest]) -> None:
    spec = pods(everything)["inference"]["spec"]
    [container] = spec["containers"]
    assert container["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": 2}
    assert environment(container)["HOMEOSTAT_INFERENCE_DEVICE"] == "cuda"
    assert spec["nodeSelector"] == {"pool": "serving", "nvidia.com/gpu.present": "true"}
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert spec["runtimeClassName"] == "nvidia"
    assert "nodeSelector" not in pods(everything)["retraining"]["spec"]


def test_autoscaler_adds_servers_by_metrics_that_exist(everything: list[Manifest]) -> None:
    from docs.reference.metrics import all_metrics

    [scaler] = named(everything, "HorizontalPodAutoscaler").values()
    target = scaler["spec"]["scaleTargetRef"]
    [server] = [
        one for one in everything if one["kind"] == target["kind"] and "inference" in one["metadata"]["name"]
    ]
    assert target["name"] == server["metadata"]["name"]
    assert "replicas" not in server["spec"], "an upgrade would undo what the autoscaler did"
    metrics = {one["pods"]["metric"]["name"] for one in scaler["spec"]["metrics"]}
    assert metrics <= {metric.name for metric in all_metrics()}
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 6)


def test_other_pods_know_the_servers_that_always_run(everything: list[Manifest]) -> None:
    found = {one["name"]: environment(one) for pod in pods(everything).values() for one in containers(pod)}
    urls = [
        f"https://homeostat-inference-{number}.homeostat-inference-servers.ml.svc:8000" for number in range(3)
    ]
    assert found["retraining"]["HOMEOSTAT_RETRAINING_INFERENCE_URLS"].split(",") == urls
    assert found["console"]["HOMEOSTAT_CONSOLE_SERVERS"].split(",") == urls
    server = named(everything, "StatefulSet")["homeostat-inference"]
    service = named(everything, "Service")[server["spec"]["serviceName"]]
    assert service["spec"]["clusterIP"] == "None"
