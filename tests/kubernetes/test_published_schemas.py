"""Every manifest against the published schemas: those of Kubernetes, oldest and newest, and of Prometheus Operator."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from tests.kubernetes.chart import CASES, CHART, TOOLS, Manifest, installed, named
from tests.kubernetes.conftest import rendered

# Of the package kubernetes-validate: a folder per version. In those named strict, no object has other properties.
SCHEMAS = TOOLS / "packages" / "kubernetes_validate" / "kubernetes-json-schema"


def version(age: str) -> str:
    """The oldest version that the chart is for, or the newest there is a schema of."""
    installed(SCHEMAS)
    oldest = re.search(r">=(\d+\.\d+)\.", yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"])
    assert oldest is not None
    found = [re.match(r"v((\d+)\.(\d+))", path.name) for path in SCHEMAS.glob("v*-strict")]
    return (
        oldest[1] if age == "oldest" else max((int(one[2]), int(one[3]), one[1]) for one in found if one)[2]
    )


@cache
def definitions(number: str) -> dict[str, Any]:
    """All schemas of a version by name."""
    [folder] = SCHEMAS.glob(f"v{number}.*-local-strict")
    found: dict[str, Any] = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))["$defs"]
    return found


@cache
def validator(number: str, api: str, kind: str) -> Draft202012Validator:
    if kind == "ServiceMonitor":
        return Draft202012Validator(json.loads(installed(TOOLS / "servicemonitor.json").read_text()))
    group, _, name = api.rpartition("/")
    wanted = {"group": group, "version": name, "kind": kind}
    [found] = [
        name
        for name, one in definitions(number).items()
        if wanted in one.get("x-kubernetes-group-version-kind", ())
    ]
    return Draft202012Validator({"$ref": f"#/$defs/{found}", "$defs": definitions(number)})


def check(manifest: Manifest, number: str) -> None:
    validator(number, manifest["apiVersion"], manifest["kind"]).validate(manifest)


@pytest.mark.parametrize("age", ["oldest", "newest"])
@pytest.mark.parametrize("case", CASES)
def test_manifests_are_valid(case: str, age: str) -> None:
    for manifest in rendered(case):
        check(manifest, version(age))
    assert len(rendered(case)) > 12


def test_oldest_version_is_not_the_newest() -> None:
    assert (version("oldest"), version("newest")) == ("1.29", "1.37")


def test_schemas_find_mistakes(everything: list[Manifest]) -> None:
    drift = deepcopy(named(everything, "Deployment")["homeostat-drift"])
    check(drift, version("newest"))
    drift["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(ValidationError, match="livenesProbe"):
        check(drift, version("newest"))
    monitor = deepcopy(named(everything, "ServiceMonitor")["homeostat-drift"])
    check(monitor, version("newest"))
    monitor["spec"]["endpoints"][0]["intervall"] = "15s"
    with pytest.raises(ValidationError, match="intervall"):
        check(monitor, version("newest"))
