"""Prometheus's unit tests, each run with the rules that it is about.

promtool evaluates every rule of a test's files at every step. An alert depends only on its own rules and on the recording rules
that it reads, so a test without the other rules sees the same alerts, at a fraction of the cost.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def rules_for(groups: list[dict[str, Any]], names: set[str]) -> list[dict[str, Any]]:
    """The groups with only the named rules and every recording rule that those read, directly or not."""
    rules = [rule for group in groups for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    wanted, queue = set(names), list(names)
    while queue:
        name = queue.pop()
        text = "".join(
            yaml.dump(rule, Dumper=yaml.CSafeDumper, width=10_000)
            for rule in rules
            if name in (rule.get("alert"), rule.get("record"))
        )
        found = {one for one in recorded if one in text} - wanted
        wanted |= found
        queue += found
    kept = [
        group
        | {"rules": [rule for rule in group["rules"] if (rule.get("alert") or rule["record"]) in wanted]}
        for group in groups
    ]
    return [group for group in kept if group["rules"]]


def split(path: Path, folder: Path) -> list[Path]:
    """Write the unit tests of a file as one file for each set of alerts that they ask about, beside the rules of those."""
    content = yaml.load(path.read_text(), yaml.CSafeLoader)
    groups = [
        group
        for file in content["rule_files"]
        for group in yaml.load((path.parent / file).read_text(), yaml.CSafeLoader)["groups"]
    ]
    by_alerts: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for test in content["tests"]:
        by_alerts.setdefault(
            tuple(sorted({look["alertname"] for look in test["alert_rule_test"]})), []
        ).append(test)
    written = []
    for alerts, tests in by_alerts.items():
        name = "-".join(alerts)
        rules = {"groups": rules_for(groups, set(alerts))}
        (folder / f"{name}.rules.yml").write_text(yaml.dump(rules, Dumper=yaml.CSafeDumper))
        part = folder / f"{name}.yml"
        part.write_text(
            yaml.dump(
                content | {"rule_files": [f"{name}.rules.yml"], "tests": tests},
                Dumper=yaml.CSafeDumper,
                sort_keys=False,
            )
        )
        written.append(part)
    return written
