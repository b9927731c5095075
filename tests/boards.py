"""The committed boards and rules as tests read them: panels, expressions, and the series an expression asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from docs.reference.metrics import all_metrics

ROOT = Path(__file__).parents[1]
BOARDS = ROOT / "dashboards" / "grafana" / "boards"
RULES = ROOT / "dashboards" / "prometheus" / "rules"
COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}


@dataclass(frozen=True)
class Expression:
    """PromQL and where it stands: `kind` is panel, annotation, record or alert."""

    kind: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind} {self.place}"


@dataclass(frozen=True)
class Series:
    """What a vector selector asks for: a metric (empty where it asks by labels alone) and its matchers, as PromQL."""

    metric: str
    matchers: frozenset[str]

    def __str__(self) -> str:
        return f"{self.metric}{{{', '.join(sorted(self.matchers))}}}"


def load() -> dict[str, dict[str, Any]]:
    """Every board by the name of its file."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(BOARDS.glob("*.json"))}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Panels that show data, in order."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def board_expressions(name: str, board: dict[str, Any]) -> Iterator[Expression]:
    """Every expression of a board: its panels' and those of its annotations that come from Prometheus."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield Expression("panel", f"{name} / {panel['title']} / {target['refId']}", target["expr"])
    for annotation in board["annotations"]["list"]:
        if annotation["datasource"]["type"] == "prometheus":
            yield Expression("annotation", f"{name} / {annotation['name']}", annotation["target"]["expr"])


@cache
def _rules() -> list[tuple[str, dict[str, Any]]]:
    """Every rule, with the name of its file."""
    return [
        (path.stem, rule)
        for path in sorted(RULES.glob("*.yml"))
        for group in yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)["groups"]
        for rule in group["rules"]
    ]


def rule_expressions() -> Iterator[Expression]:
    """Every expression of every recording rule and alert."""
    for file, rule in _rules():
        kind = "record" if "record" in rule else "alert"
        yield Expression(kind, f"{file} / {rule[kind]}", str(rule["expr"]))


def recorded() -> set[str]:
    """Names of the series that recording rules make."""
    return {rule["record"] for _, rule in _rules() if "record" in rule}


def with_values(text: str, *, rate: str = "1m", interval: str = "1m", span: str = "1h") -> str:
    """The expression as Grafana would send it.

    Replaced are `$__rate_interval` (by `rate`), `$__interval` (by `interval`), `$__range` (by `span`) and `$model`, by what
    `All` stands for. A dollar sign that is left is a variable nobody knows, and Prometheus refuses it.
    """
    for name, value in (
        ("$__rate_interval", rate),
        ("$__interval", interval),
        ("$__range", span),
        ("$model", ".*"),
    ):
        text = text.replace(name, value)
    return text


def parsed(text: str) -> promql_parser.Expr:
    """The syntax tree of an expression. Raises ValueError with what is wrong."""
    return promql_parser.parse(with_values(text))


def series(text: str) -> list[Series]:
    """What the vector selectors of an expression ask for, each once."""
    found: dict[Series, None] = {}

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            matchers = frozenset(
                f'{each.name}{_operator(each)}"{each.value}"' for each in node.matchers.matchers
            )
            found[Series(node.name or "", matchers)] = None

    promql_parser.walk(parsed(text), visit)
    return list(found)


def _operator(matcher: promql_parser.Matcher) -> str:
    return {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}[str(matcher.op).rpartition(".")[2]]


@cache
def exposed() -> dict[str, tuple[str, set[str]]]:
    """Every name a query may use for a metric of the program, with the metric's kind and labels."""
    found: dict[str, tuple[str, set[str]]] = {}
    for metric in all_metrics():
        labels = {*metric.labels, "job", "instance"}
        if metric.kind == "histogram":
            found[f"{metric.name}_bucket"] = ("histogram", labels | {"le"})
            found |= {f"{metric.name}{end}": ("histogram", labels) for end in ("_sum", "_count")}
        else:
            found[metric.name] = (metric.kind, labels)
    return found


def raw_counters(text: str) -> list[str]:
    """Counters (and parts of histograms) that the expression shows as they are: outside a function over time.

    In `events` of dashboards/parts/query.py a counter stands raw where its series is new, and is known by its `unless`.
    """
    kinds = exposed()
    above: list[promql_parser.Expr] = []
    raw: list[str] = []

    def enter(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector) and kinds.get(node.name or "", ("",))[0] in (
            "counter",
            "histogram",
        ):
            within = any(
                isinstance(each, promql_parser.MatrixSelector | promql_parser.SubqueryExpr) for each in above
            )
            born = (
                bool(above)
                and isinstance(above[-1], promql_parser.BinaryExpr)
                and str(above[-1].op) == "unless"
            )
            if not within and not born:
                raw.append(node.name or "")
        above.append(node)

    def leave(_: promql_parser.Expr) -> None:
        above.pop()

    promql_parser.walk(parsed(text), enter, leave)
    return raw


def words_of(board: dict[str, Any]) -> str:
    """Everything a board says in words."""
    said = [board["title"], board["description"]]
    for panel in panels(board):
        said += [panel["title"], panel["description"], panel["fieldConfig"]["defaults"]["noValue"]]
    return "\n".join(said)


def alerts_named(text: str) -> set[str]:
    """Names of alerts in a text."""
    return set(re.findall(r"\bHomeostat[A-Z][A-Za-z]+\b", text))
