"""The Helm chart as the tests read it: its values, and what a real helm renders from them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.waiting import bound

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "homeostat"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
# Of `make kubernetes-tools`.
TOOLS = ROOT / "build" / "kubernetes"
NAMESPACE = "ml"
RELEASE = "homeostat"
Manifest = dict[str, Any]

# What somebody must set.
SMALLEST: dict[str, Any] = {
    "modelStore": "s3://homeostat/models",
    "lake": "s3://homeostat/lake",
    "kafka": {"bootstrapServers": "broker-1:9092,broker-2:9092,broker-3:9092"},
}
EVERYTHING: dict[str, Any] = {
    "modelStore": "file:///data/shared/models",
    "lake": "/data/shared/lake",
    "reports": "s3://homeostat/reports",
    "sharedVolume": {"existingClaim": "shared"},
    "image": {"registry": "registry.example.com/ml", "tag": "1.2.3", "pullSecrets": ["registry"]},
    "objectStore": {"environment": {"AWS_REGION": "eu-west-1"}, "existingSecret": "object-store"},
    "kafka": {
        "bootstrapServers": "broker-1:9093",
        "securityProtocol": "SASL_SSL",
        "username": "homeostat",
        "ca": True,
    },
    "ledger": {"url": "postgresql://homeostat@postgres.example.com:5432/ledger"},
    "monitoring": {
        "grafanaUrl": "http://grafana.monitoring:3000",
        "prometheusUrl": "http://prometheus.monitoring:9090",
        "alertmanagerUrl": "http://alertmanager.monitoring:9093",
        "password": True,
        "mlflowUri": "http://mlflow.ml:5000",
    },
    "secrets": {"existingSecret": "passwords"},
    "tls": {"existingSecret": "certificates"},
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/homeostat"}},
    "inference": {
        "replicas": 3,
        "sessionAffinity": "ClientIP",
        "gpu": {"enabled": True, "count": 2, "runtimeClassName": "nvidia"},
        "autoscaling": {"enabled": True},
        "nodeSelector": {"pool": "serving"},
    },
    "sink": {"replicas": 3},
    "drift": {"replicas": 2, "volume": {"accessMode": "ReadWriteMany"}},
    "retraining": {
        "replicas": 2,
        "volume": {"accessMode": "ReadWriteMany"},
        "jobImage": "registry.example.com/ml/training:1.2.3",
        "daskScheduler": "tcp://scheduler:8786",
    },
    "cli": {"enabled": True},
    "networkPolicy": {
        "clients": [{"podSelector": {"matchLabels": {"app": "shop"}}}],
        "people": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 9093}]}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
}
BARE: dict[str, Any] = {
    **SMALLEST,
    "keys": {"existingSecret": "installation-keys"},
    "retraining": {"projectsClaim": "projects"},
    "kafka": {**SMALLEST["kafka"], "createTopics": False},
    "networkPolicy": {"enabled": False},
}
CASES = {"smallest": SMALLEST, "everything": EVERYTHING, "bare": BARE}


def merged(below: Any, above: Any) -> Any:
    """Values over others, as Helm merges them."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{name: merged(below.get(name), value) for name, value in above.items()}}


def installed(path: Path) -> Path:
    """The path of a tool. Without it the test is skipped, and fails in CI."""
    if not path.exists():
        said = f"{path.name} is not installed; `make kubernetes-tools` does it"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    return path


def helm(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm on the chart."""
    program = installed(TOOLS / "helm")
    given = [] if values is None else ["--values", "-"]
    return subprocess.run(
        [str(program), *arguments, *given],
        input=None if values is None else json.dumps(values),
        capture_output=True,
        text=True,
        timeout=bound(60),
        check=False,
    )


def render(values: Mapping[str, Any]) -> list[Manifest]:
    """The manifests that helm makes of the chart with these values over its own."""
    done = helm("template", RELEASE, str(CHART), f"--namespace={NAMESPACE}", values=values)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def named(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Manifests of a kind by name."""
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pod templates by component."""
    templates = [one["spec"]["template"] for one in manifests if "template" in one.get("spec", {})]
    return {one["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in templates}


def containers(pod: Manifest) -> Iterator[Manifest]:
    """All containers of a pod template."""
    yield from pod["spec"].get("initContainers", ())
    yield from pod["spec"]["containers"]


def environment(container: Manifest) -> dict[str, str]:
    """The variables of a container that are written in its manifest."""
    return {entry["name"]: entry["value"] for entry in container.get("env", ())}
