"""The values: their schema, their defaults, and that they are those of compose.yaml. Needs no helm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from docs.reference.chart_values import VALUES as FILE
from docs.reference.chart_values import commented_values
from docs.reference.settings import all_settings
from tests.containers.composition import COMPOSE, GPU, is_ours, load
from tests.kubernetes.chart import CASES, CHART, SCHEMA, SMALLEST, VALUES, merged

SERVICES = load()["services"]
PARTS = ["inference", "shipper", "sink", "drift", "retraining", "console", "cli"]
# The same for every part, described once in docs/kubernetes.md.
COMMON = {"image", "settings", "resources", "volume", "nodeSelector", "tolerations", "affinity"}
UNITS = {"m": 1 << 20, "g": 1 << 30, "Mi": 1 << 20, "Gi": 1 << 30}


def problems(values: dict[str, Any]) -> list[str]:
    return [error.json_path for error in Draft7Validator(SCHEMA).iter_errors(merged(VALUES, values))]


def size(text: str) -> int:
    found = re.fullmatch(r"(\d+)(m|g|Mi|Gi)", text)
    assert found is not None, text
    return int(found[1]) * UNITS[found[2]]


@pytest.mark.parametrize("case", CASES)
def test_schema_takes_the_values(case: str) -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert problems(CASES[case]) == []


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({}, {"$.modelStore", "$.lake", "$.kafka.bootstrapServers"}),
        ({**SMALLEST, "replicas": 3}, {"$"}),
        ({**SMALLEST, "inference": {"replica": 3}}, {"$.inference"}),
        ({**SMALLEST, "inference": {"replicas": "3"}}, {"$.inference.replicas"}),
        ({**SMALLEST, "settings": {"HOMEOSTAT_LOG_LEVEL": ["info"]}}, {"$.settings.HOMEOSTAT_LOG_LEVEL"}),
        ({**SMALLEST, "sink": {"volume": {"size": "1 GB"}}}, {"$.sink.volume.size"}),
        # A ledger in SQLite, and a volume of one node, are not shared.
        ({**SMALLEST, "retraining": {"replicas": 2}}, {"$.ledger.url", "$.retraining.volume.accessMode"}),
        ({**SMALLEST, "drift": {"replicas": 2}}, {"$.drift.volume.accessMode"}),
        # Jobs mount the volume on other nodes, with the projects on it.
        (
            {**SMALLEST, "retraining": {"jobImage": "training", "projectsClaim": "projects"}},
            {"$.retraining.projectsClaim", "$.retraining.volume.accessMode"},
        ),
        ({**SMALLEST, "lake": "/data/shared/lake"}, {"$.sharedVolume.existingClaim"}),
        ({**SMALLEST, "modelStore": "file:///data/models"}, {"$.modelStore", "$.sharedVolume.existingClaim"}),
        (merged(SMALLEST, {"kafka": {"securityProtocol": "SASL_SSL"}}), {"$.kafka.username"}),
        ({**SMALLEST, "ledger": {"url": "sqlite:///ledger"}}, {"$.ledger.url"}),
    ],
)
def test_schema_names_what_is_wrong(values: dict[str, Any], where: set[str]) -> None:
    assert set(problems(values)) == where


def test_every_value_is_in_the_schema_and_described() -> None:
    described = commented_values(FILE.read_text(encoding="utf-8"))

    def undescribed(values: dict[str, Any], schema: dict[str, Any], *path: str) -> Iterator[str]:
        for name, value in values.items():
            own = schema["properties"][name]
            if (*path, name) not in described and "properties" in own and name not in COMMON:
                yield from undescribed(value, own, *path, name)
            elif (*path, name) not in described and name not in COMMON:
                yield ".".join((*path, name))

    assert list(undescribed(VALUES, SCHEMA)) == []


@pytest.mark.parametrize("part", PARTS)
def test_image_and_memory_are_those_of_the_composition(part: str) -> None:
    service = SERVICES[part]
    assert is_ours(service)
    assert f"{VALUES[part]['image']}:{chart()['appVersion']}" == service["image"]
    limit = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", service["mem_limit"])
    assert size(VALUES[part]["resources"]["limits"]["memory"]) == size(limit)


def test_gpu_has_image_and_memory_of_the_composition() -> None:
    service, gpu = load(COMPOSE, GPU)["services"]["inference"], VALUES["inference"]["gpu"]
    assert f"{gpu['image']}:{chart()['appVersion']}" == service["image"]
    assert size(gpu["memory"]) == size(service["mem_limit"])


@pytest.mark.parametrize("part", PARTS)
def test_settings_exist_and_have_the_values_of_the_composition(part: str) -> None:
    known = {setting.variable for setting in all_settings()}
    given = {**VALUES["settings"], **VALUES[part]["settings"]}
    assert set(given) <= known
    compose = SERVICES[part]["environment"]
    assert {name: compose[name] for name in given if name in compose} == {
        name: value for name, value in given.items() if name in compose
    }


def test_versions_are_those_of_the_project() -> None:
    version = re.search(
        r'^version = "(.+)"$', (CHART.parents[2] / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert version is not None
    assert (chart()["version"], chart()["appVersion"]) == (version[1], version[1])


def test_no_password_is_a_value() -> None:
    assert not re.search(r'"[^"]*(password|token)[^"]*": (?!true|false)', json.dumps(VALUES), re.IGNORECASE)


def chart() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    return found
