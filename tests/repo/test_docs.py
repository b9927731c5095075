"""The documentation says what the code does: every setting, metric, route, topic, command and contract, both ways."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from docs.generate import ROOT, SETTING_NAMES, TABLES, pages, subjects, with_tables
from docs.reference.commands import all_commands
from docs.reference.contracts import loop_keys
from docs.reference.environment import with_all_settings
from docs.reference.metrics import all_metrics, names_in_source
from docs.reference.routes import all_routes
from docs.reference.setting_names import setting_names_module
from docs.reference.settings import all_settings, settings_classes
from docs.reference.sources import parse, sources
from services.drift.http.routes import make_routes as make_drift_routes
from services.retraining.http.routes import make_router as make_retraining_routes
from shared.access.client_key import FILE_VARIABLE, KEY_VARIABLE
from shared.contracts import topics
from shared.contracts.loop_spec import LoopSpec
from shared.http.metrics_server import MetricsServer
from shared.http.service_app import health_routes
from tests.fakes.callers import Everyone

HINT = "run `.venv/bin/python -m docs.generate`"
SERVICES = {
    f"services.{path.name}" for path in (ROOT / "services").iterdir() if (path / "__init__.py").is_file()
}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_tables_of_a_page_are_those_of_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == with_tables(text), f"{page.relative_to(ROOT)} lags behind the code: {HINT}"


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_stands_on_a_page(name: str) -> None:
    assert subjects(name), f"no page has a place for the table {name}"


def test_every_owner_of_settings_has_its_table() -> None:
    assert {setting.owner for setting in all_settings()} == subjects("settings")


def test_every_owner_of_metrics_has_its_table() -> None:
    assert {metric.owner for metric in all_metrics()} == subjects("metrics")


def test_every_owner_of_routes_has_its_table() -> None:
    assert {route.owner for route in all_routes()} == subjects("routes")


def test_every_service_has_settings_metrics_and_routes() -> None:
    assert {setting.owner for setting in all_settings()} >= SERVICES
    assert {metric.owner for metric in all_metrics()} >= SERVICES
    assert {route.owner for route in all_routes()} == SERVICES


def test_every_thing_has_a_sentence() -> None:
    unsaid = [setting.variable for setting in all_settings() if not setting.description.endswith(".")]
    unsaid += [metric.name for metric in all_metrics() if not metric.description.endswith(".")]
    unsaid += [
        f"{route.method} {route.path}" for route in all_routes() if not route.description.endswith(".")
    ]
    unsaid += [command.name for command in all_commands() if not command.description]
    unsaid += [path for path, _, _, text in loop_keys(LoopSpec) if not text]
    assert unsaid == [], "these lack a sentence (ending with a full stop) where they are declared"


def test_every_setting_belongs_to_us_and_is_frozen() -> None:
    assert all(re.fullmatch(r"HOMEOSTAT_[A-Z0-9_]+", setting.variable) for setting in all_settings())
    assert [one.__name__ for one in settings_classes() if not one.model_config.get("frozen")] == []


def test_settings_that_share_a_variable_agree() -> None:
    """`homeostat up` and the service it starts read the same variable for the service's port, and must mean the same."""
    meanings: dict[str, set[tuple[str, str]]] = {}
    for setting in all_settings():
        meanings.setdefault(setting.variable, set()).add((setting.kind, setting.default))
    assert {variable: said for variable, said in meanings.items() if len(said) > 1} == {}


def names_read() -> set[str]:
    """Names that the program reads as attributes or looks up by text."""
    found: set[str] = set()
    for path in sources():
        if path.name not in ("settings.py", "loop_spec.py", "retraining_spec.py"):
            for node in ast.walk(parse(path)):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    found.add(node.attr)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    # `model_store` and `lake` are read through properties of the settings themselves.
    return found | {name.removesuffix("_url") for name in found}


def test_every_setting_and_every_key_has_an_effect() -> None:
    read = names_read()
    idle = [
        f"{one.__name__}.{name}"
        for one in settings_classes()
        for name in one.model_fields
        if name not in read
    ]
    # `when` tells triggers apart by their class.
    keys = {
        path.rpartition(".")[2].removesuffix("[]")
        for path, kind, _, _ in loop_keys(LoopSpec)
        if kind != "form"
    }
    idle += sorted(keys - read)
    assert idle == []


# An alert's annotation must name its verdict. One series per model is bounded: the old one goes when the next verdict comes.
NAMING_ONE = {"homeostat_drift_last_verdict_info": {"verdict_id", "mac"}}


def test_metrics_follow_the_conventions() -> None:
    for metric in all_metrics():
        assert re.fullmatch(r"homeostat_[a-z0-9_]+", metric.name), metric.name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|kilobytes|percent)(_|$)", metric.name), (
            metric.name
        )
        assert (metric.kind == "counter") == metric.name.endswith("_total"), metric.name
        unbounded = {"prediction_id", "run_id", "cause_id", "verdict_id", "mac", "path"} & set(metric.labels)
        assert unbounded == NAMING_ONE.get(metric.name, set()), metric.name


def test_no_metric_is_declared_twice() -> None:
    names = [metric.name for metric in all_metrics()]
    assert sorted(names) == sorted(set(names))


def test_no_metric_escapes_the_registries_that_are_documented() -> None:
    known = {metric.name for metric in all_metrics()}
    declared = names_in_source()
    assert declared
    assert {name for name in declared if name not in known and f"{name}_total" not in known} == set()


def answered_by(router: APIRouter) -> set[tuple[str, str]]:
    """The routes of a service's application: its own and those that every service has."""
    return {
        (method, getattr(route, "path", ""))
        for route in (*router.routes, *health_routes(lambda: True).routes)
        for method in getattr(route, "methods", ())
    }


def documented(owner: str) -> set[tuple[str, str]]:
    return {(route.method, route.path) for route in all_routes() if route.owner == owner}


def test_what_drift_really_answers_is_what_is_documented() -> None:
    assert answered_by(make_drift_routes(cast(Any, None))) == documented("services.drift")


def test_what_retraining_really_answers_is_what_is_documented() -> None:
    assert answered_by(make_retraining_routes(cast(Any, None))) == documented("services.retraining")


def test_routes_of_the_metrics_server_are_those_documented() -> None:
    server = MetricsServer(
        CollectorRegistry(), "127.0.0.1", 0, lambda: {"ready": True}, service="sink", authenticator=Everyone()
    )
    server.start()
    try:
        for method, path in documented("services.prediction_log"):
            assert (
                httpx.request(method, f"http://127.0.0.1:{server.port}{path}", timeout=10).status_code == 200
            )
    finally:
        server.stop()


def test_the_topics_are_those_of_the_contract() -> None:
    text = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
    mentioned = set(
        re.findall(r"`(homeostat\.(?:predictions|outcomes|verdicts|dead_letters|[a-z_]+))`", text)
    )
    assert mentioned == {topic.name for topic in topics.ALL}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?://|#)([^)#\s]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), f"{page.relative_to(ROOT)} links to {link}, which is not there"


def test_tests_named_on_a_page_exist() -> None:
    """A promise that names its test keeps its test."""
    written = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"^(?:async )?def (test_\w+)", written, re.MULTILINE))
    for page in pages():
        named = set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")))
        assert named <= known, (
            f"{page.relative_to(ROOT)} names tests that do not exist: {sorted(named - known)}"
        )


def test_settings_named_on_a_page_exist() -> None:
    known = {setting.variable for setting in all_settings()}
    # Set for a training command and for tests of an installation, not read as settings.
    known |= {"HOMEOSTAT_TRAIN", "HOMEOSTAT_CHAMPION", "HOMEOSTAT_OUT"}
    # Read by clients.
    known |= {KEY_VARIABLE, FILE_VARIABLE}
    for page in pages():
        named = set(re.findall(r"HOMEOSTAT_[A-Z0-9_]*[A-Z0-9]", page.read_text(encoding="utf-8")))
        assert named <= known, (
            f"{page.relative_to(ROOT)} names settings that do not exist: {sorted(named - known)}"
        )


def test_metrics_named_on_a_page_exist() -> None:
    known = {metric.name for metric in all_metrics()}
    known |= {f"{metric.name}{end}" for metric in all_metrics() for end in ("_bucket", "_sum", "_count")}
    for page in pages():
        named = set(re.findall(r"`(homeostat_[a-z0-9_]+)`", page.read_text(encoding="utf-8")))
        assert named <= known, (
            f"{page.relative_to(ROOT)} names metrics that do not exist: {sorted(named - known)}"
        )


def test_the_example_of_the_environment_names_every_setting() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert text == with_all_settings(text), f".env.example lags behind the code: {HINT}"

    named = set(re.findall(r"^(?:# )?(HOMEOSTAT_[A-Z0-9_]+)=", text, re.MULTILINE))
    assert named == {setting.variable for setting in all_settings()}


def test_names_of_settings_are_those_of_the_code() -> None:
    assert SETTING_NAMES.read_text(encoding="utf-8") == setting_names_module(""), HINT


def test_decisions_are_numbered_dated_and_listed() -> None:
    folder = ROOT / "docs" / "adr"
    records = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    index = (folder / "README.md").read_text(encoding="utf-8")
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert re.match(rf"# {path.name[:4]} \S", text), (
            f"{path.name} does not begin with its number and title"
        )
        assert re.search(r"^Date: \d{4}-\d\d-\d\d$", text, re.MULTILINE), f"{path.name} has no date"
        for part in ("## Context", "## Decision", "## Consequences"):
            assert part in text, f"{path.name} lacks {part}"
        assert path.name in index, f"docs/adr/README.md does not list {path.name}"
