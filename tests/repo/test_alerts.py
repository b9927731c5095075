"""Rules, runbooks, routes and metrics say the same words, and Prometheus's and Alertmanager's own tools agree with the files."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from docs.generate import ROOT
from docs.reference.commands import find_command
from docs.reference.metrics import all_metrics
from local_stack.observability.config_files import (
    ALERTMANAGER,
    PROMETHEUS,
    alertmanager_config,
    prometheus_config,
    scrape_jobs,
)
from tests.observability import SHIPPED_RULES, program, some_key
from tests.repo.promtool import split
from tests.waiting import bound

RUNBOOKS = ROOT / "docs" / "runbooks.md"
UNIT_TESTS = sorted((ROOT / "dashboards" / "prometheus" / "tests").glob("*.yml"))
TO_RETRAINING = {"HomeostatDrift", "HomeostatPerformanceDrift"}
# Where retraining hears no verdicts, this is what it knows of the one an alert is about.
ABOUT_A_VERDICT = {"verdict_id", "version", "verdict_state", "verdict_mac"}
# Of the programs that watch, which are not ours.
FOREIGN = {
    "up",
    "alertmanager_notifications_failed_total",
    "prometheus_notifications_errors_total",
    "prometheus_rule_evaluation_failures_total",
}


@dataclass(frozen=True)
class Rule:
    """One alerting or recording rule, with the file it stands in."""

    file: str
    name: str
    expression: str
    labels: dict[str, str]
    annotations: dict[str, str]
    is_alert: bool

    def __str__(self) -> str:
        return f"{self.name} {self.labels.get('severity', '')}".strip()


def rules() -> list[Rule]:
    return [
        Rule(
            path.name,
            rule.get("alert") or rule["record"],
            rule["expr"],
            rule.get("labels", {}),
            rule.get("annotations", {}),
            "alert" in rule,
        )
        for path in SHIPPED_RULES
        for group in yaml.load(path.read_text(), yaml.CSafeLoader)["groups"]
        for rule in group["rules"]
    ]


RULES = rules()
ALERTS = [rule for rule in RULES if rule.is_alert]
NAMES = sorted({rule.name for rule in ALERTS})


def run(name: str, *arguments: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [program(name), *arguments], cwd=cwd, capture_output=True, text=True, timeout=bound(300), check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def sections() -> dict[str, str]:
    """The runbook of each heading of the third level."""
    parts = re.split(r"^### (\S+)$", RUNBOOKS.read_text(), flags=re.MULTILINE)
    return {name: text.split("\n## ")[0] for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def selectors(expression: Any) -> list[Any]:
    """Every vector selector of a parsed expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        return [expression]
    if isinstance(expression, promql_parser.MatrixSelector):
        return [expression.vector_selector]
    found = []
    for part in ("expr", "lhs", "rhs", "param"):
        child = getattr(expression, part, None)
        if child is not None:
            found += selectors(child)
    for child in getattr(expression, "args", []) or []:
        found += selectors(child)
    return found


@cache
def samples() -> dict[str, set[str]]:
    """Every name a query may use, with its labels."""
    found: dict[str, set[str]] = {name: {"job", "instance"} for name in FOREIGN}
    for metric in all_metrics():
        labels = {*metric.labels, "job", "instance"}
        found[metric.name] = labels
        if metric.kind == "histogram":
            found |= {
                f"{metric.name}_bucket": labels | {"le"},
                f"{metric.name}_count": labels,
                f"{metric.name}_sum": labels,
            }
    for rule in RULES:
        if not rule.is_alert:
            found[rule.name] = {"model"}
    return found


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_rule_asks_for_what_exists(rule: Rule) -> None:
    known = samples()
    used = selectors(promql_parser.parse(rule.expression))
    assert used, "no metric was found in the expression"
    for selector in used:
        assert selector.name in known, f"{rule.name} asks for {selector.name}, which nothing emits"
        asked = {matcher.name for matcher in selector.matchers.matchers} - {"__name__"}
        assert asked <= known[selector.name], f"{selector.name} has no label {asked - known[selector.name]}"


def test_the_names_in_expressions_are_really_found() -> None:
    parsed = promql_parser.parse(
        'sum by (a) (rate(one{b="c"}[5m])) / 2 > on () (absent(two offset 1d) or -three)'
    )
    assert [selector.name for selector in selectors(parsed)] == ["one", "two", "three"]


@pytest.mark.parametrize("rule", ALERTS, ids=str)
def test_alert_has_severity_texts_and_runbook(rule: Rule) -> None:
    assert rule.name.startswith("Homeostat")
    assert set(rule.labels) == {"severity"}, "a label that changes would make another alert of it"
    assert rule.labels["severity"] in ("page", "ticket")
    assert set(rule.annotations) - ABOUT_A_VERDICT == {"summary", "description", "runbook_url"}
    assert "{{" in rule.annotations["description"], "the description names no value"
    page, _, heading = rule.annotations["runbook_url"].partition("#")
    assert ROOT / page == RUNBOOKS
    assert heading == rule.name.lower()


def test_every_alert_has_a_runbook_and_no_runbook_is_left_over() -> None:
    assert sorted(sections()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_runbook_has_meaning_diagnosis_fix(name: str) -> None:
    text = sections()[name]
    assert re.findall(r"\*\*(.+?)\.\*\*", text) == ["Meaning", "Diagnosis", "Fix"]


def test_a_runbook_names_commands_that_exist() -> None:
    found = re.findall(r"`homeostat ([^`]+)`", " ".join(RUNBOOKS.read_text().split()))
    assert len(found) > 20
    for command in found:
        assert find_command(command.split()), f"homeostat {command} is no command"


def test_a_runbook_names_metrics_and_settings_that_exist() -> None:
    from docs.reference.settings import all_settings

    text = RUNBOOKS.read_text()
    assert set(re.findall(r"`(homeostat_[a-z_]+)`", text)) <= set(samples())
    named = set(re.findall(r"`(HOMEOSTAT_[A-Z_]+)", text))
    assert named <= {setting.variable for setting in all_settings()}


def test_alerts_sent_to_retraining_have_verdict_annotations() -> None:
    annotated = {rule.name: set(rule.annotations) & ABOUT_A_VERDICT for rule in ALERTS}
    assert {name: noted for name, noted in annotated.items() if noted} == dict.fromkeys(
        TO_RETRAINING | {"HomeostatDataFault"}, ABOUT_A_VERDICT
    )


COUNTER = r"homeostat_\w+_total(?:\{[^}]*\})?"


@pytest.mark.parametrize("rule", ALERTS, ids=str)
def test_a_total_is_never_taken_for_news(rule: Rule) -> None:
    """A scrape that failed must not make an old total look new: what the test of gaps shows for these alerts is one form."""
    text = " ".join(rule.expression.split())
    assert not re.search(rf"unless {COUNTER} offset", text)
    for counter in {*re.findall(rf"({COUNTER}) > 0", text)}:
        window = re.search(rf"count_over_time\({re.escape(counter)}\[(\w+)\]\)", text)
        assert window is not None, f"{counter} is compared as it stands"
        form = (
            f"( {counter} > 0 and count_over_time({counter}[N]) "
            "< on (job, instance) group_left () sum_over_time(up[N]) ) "
            f"or {counter} - last_over_time({counter}[1d] offset N) > 0 or increase({counter}[N]) > 0"
        )
        assert form.replace("N]", f"{window[1]}]").replace("offset N", f"offset {window[1]}") in text
        assert any(
            counter.partition("{")[0] in (path.read_text()) and "stale" in path.read_text()
            for path in UNIT_TESTS
        ), f"no gap is tried with {counter}"


def test_promtool_agrees_with_rules_and_configuration(tmp_path: Path) -> None:
    run("promtool", "check", "rules", *map(str, SHIPPED_RULES))
    # As it is mounted into a container: the rules lie beside it.
    # The file with the key is a secret of the containers.
    run("promtool", "check", "config", "--syntax-only", PROMETHEUS.name, cwd=PROMETHEUS.parent)
    rendered = tmp_path / "prometheus.yml"
    rendered.write_text(
        prometheus_config(
            {job: ["127.0.0.1:1"] for job in scrape_jobs()},
            ["127.0.0.1:2"],
            key_file=some_key(tmp_path),
            password_file=some_key(tmp_path),
        )
    )
    assert f"{len(SHIPPED_RULES)} rule files found" in run("promtool", "check", "config", str(rendered))


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.name)
def test_alerts_fire_stay_silent_and_resolve(path: Path, tmp_path: Path) -> None:
    run("promtool", "test", "rules", *map(str, split(path, tmp_path)))


def test_split_alert_tests_still_find_a_wrong_expression(tmp_path: Path) -> None:
    """Every test of the file is run, with the recording rules of its alert: a wrong one of them is found."""
    [path] = [path for path in UNIT_TESTS if path.name == "burn_rates.yml"]
    parts = split(path, tmp_path)
    tests = [test["name"] for part in parts for test in yaml.safe_load(part.read_text())["tests"]]
    assert sorted(tests) == sorted(test["name"] for test in yaml.safe_load(path.read_text())["tests"])
    rules = tmp_path / "HomeostatAvailabilityBurn.rules.yml"
    rules.write_text(re.sub(r'outcome="failed"', 'outcome="answered"', rules.read_text()))
    with pytest.raises(AssertionError, match="HomeostatAvailabilityBurn"):
        run("promtool", "test", "rules", str(tmp_path / "HomeostatAvailabilityBurn.yml"))


def seconds(text: str) -> float:
    units = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
    return sum(
        timedelta(**{units[unit]: int(count)}).total_seconds()
        for count, unit in re.findall(r"(\d+)([dhms])", str(text))
    )


@cache
def all_unit_tests() -> list[dict[str, Any]]:
    """The unit tests of every file; reading the files takes half a second."""
    return [test for path in UNIT_TESTS for test in yaml.load(path.read_text(), yaml.CSafeLoader)["tests"]]


def unit_tests(name: str) -> list[list[tuple[float, set[str]]]]:
    """Of each unit test about the alert: when it evaluates, and the severities it expects to fire."""
    return [
        sorted(
            (
                seconds(look["eval_time"]),
                {each["exp_labels"]["severity"] for each in look.get("exp_alerts") or []},
            )
            for look in test["alert_rule_test"]
        )
        for test in all_unit_tests()
        if {look["alertname"] for look in test["alert_rule_test"]} == {name}
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_is_tested_firing_resolving_and_staying_silent(name: str) -> None:
    tests = unit_tests(name)
    severities = {rule.labels["severity"] for rule in ALERTS if rule.name == name}
    fired = {severity for evaluations in tests for _, expected in evaluations for severity in expected}
    assert fired == severities, "not every severity is seen firing"
    for evaluations in tests:
        if any(expected for _, expected in evaluations):
            assert not evaluations[0][1], "it is not silent before it fires"
            assert not evaluations[-1][1], "it does not resolve"
    assert any(
        not expected
        for evaluations in tests
        if not any(each for _, each in evaluations)
        for _, expected in evaluations
    ), "no near miss in which it stays silent"


def test_amtool_agrees_with_the_routes(tmp_path: Path) -> None:
    run("amtool", "check-config", str(ALERTMANAGER))
    rendered = tmp_path / "alertmanager.yml"
    rendered.write_text(alertmanager_config(None, "http://127.0.0.1:8003/", some_key(tmp_path)))
    run("amtool", "check-config", str(rendered))
    assert "http://127.0.0.1:8003/triggers" in rendered.read_text()


@pytest.mark.parametrize("rule", ALERTS, ids=str)
def test_an_alert_reaches_whom_it_concerns(rule: Rule) -> None:
    people = rule.labels["severity"]
    receivers = ["retraining", people] if rule.name in TO_RETRAINING else [people]
    labels = {"alertname": rule.name, "model": "flights", **rule.labels}
    said = run(
        "amtool",
        *(
            "config",
            "routes",
            "test",
            f"--config.file={ALERTMANAGER}",
            f"--verify.receivers={','.join(receivers)}",
        ),
        *(f"{name}={value}" for name, value in labels.items()),
    )
    assert ",".join(receivers) in said


def test_one_alert_is_one_group_and_names_in_routes_exist() -> None:
    config = yaml.safe_load(ALERTMANAGER.read_text())
    assert config["route"]["group_by"] == ["alertname", "model"]
    [retraining] = [route for route in config["route"]["routes"] if route["receiver"] == "retraining"]
    # Told again within the hour: what it missed while it was away is made up for. And it hears when it is over.
    assert (retraining["repeat_interval"], retraining["continue"]) == ("1h", True)
    [webhook] = next(each for each in config["receivers"] if each["name"] == "retraining")["webhook_configs"]
    assert webhook["send_resolved"] is True
    named = set(re.findall(r"Homeostat\w+", ALERTMANAGER.read_text()))
    assert named <= set(NAMES)
    for inhibition in config["inhibit_rules"]:
        sources, targets = (
            set(re.findall(r"Homeostat\w+", str(inhibition[side])))
            for side in ("source_matchers", "target_matchers")
        )
        assert not sources & targets, "an alert that hides itself is never seen"


def test_the_receivers_of_the_runbook_are_taken_by_alertmanager(tmp_path: Path) -> None:
    """And the configuration as shipped holds no secret, and tells nobody outside."""
    config = yaml.safe_load(ALERTMANAGER.read_text())
    shipped = {receiver["name"]: receiver for receiver in config["receivers"]}
    assert shipped["ticket"] == {"name": "ticket"}
    assert shipped["page"] == {"name": "page"}
    block = re.search(r"```yaml\n(receivers:.*?)```", RUNBOOKS.read_text(), re.DOTALL)
    assert block is not None
    filled = yaml.safe_load(block[1])["receivers"]
    assert {receiver["name"] for receiver in filled} == set(shipped) - {"retraining"}
    source = tmp_path / "alertmanager.yml"
    source.write_text(yaml.safe_dump(config | {"receivers": [*filled, shipped["retraining"]]}))
    text = alertmanager_config(source, "http://127.0.0.1:8003", some_key(tmp_path))
    assert f"api_url_file: {tmp_path}/secrets/slack_url" in text
    (tmp_path / "rendered.yml").write_text(text)
    run("amtool", "check-config", str(tmp_path / "rendered.yml"))
