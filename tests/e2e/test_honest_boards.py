"""Every expression of every board and rule has data once the loop has turned on real parts, or is excused with a reason."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import promql_parser
import pytest
import yaml

from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import services
from shared.access.installation_keys import PROMETHEUS, key_path
from tests.boards import (
    ROOT,
    Expression,
    Series,
    board_expressions,
    load,
    panels,
    rule_expressions,
    series,
    with_values,
)
from tests.e2e.short_loop import MODEL, ShortLoop, until
from tests.observability import (
    SHIPPED_RULES,
    RunningPrometheus,
    program,
    running_prometheus,
    with_short_waits,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]
SERVICES = [spec.name for spec in services(LocalStackSettings())]
QUIET = ROOT / "dashboards" / "quiet_expressions.yaml"
# Prometheus does not keep an empty label: a score of performance is about no feature, and one of all rows about no slice.
MAY_BE_EMPTY = {"feature", "slice"}
# Long enough to hold all of this loop: a series that was there a minute ago was there.
WINDOW = "10m"
# Between two hours of the first day: the alerts wait a second or two, so each has time to fire.
HEALTHY_PAUSE_S = 1.0


@dataclass
class HealthyDay:
    """What Prometheus showed on the first day, when all was well."""

    alerts: dict[str, str] = field(default_factory=dict)
    error_ratio: list[float] = field(default_factory=list)

    def look(self, prometheus: RunningPrometheus) -> None:
        """Note the alerts that fire now, and the share of refused requests."""
        time.sleep(HEALTHY_PAUSE_S)
        for alert in prometheus.alerts():
            self.alerts[alert["labels"]["alertname"]] = alert["annotations"]["description"]
        self.error_ratio += [one.value for one in prometheus.query("homeostat:request_errors:ratio_rate5m")]


@pytest.fixture(scope="module")
def healthy_day() -> HealthyDay:
    """Filled while the loop runs."""
    return HealthyDay()


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, healthy_day: HealthyDay
) -> Iterator[RunningPrometheus]:
    """A Prometheus that has seen a whole loop: drift, a retraining, its release, and a person who takes it back."""
    program("prometheus")  # where it is missing, say so before the stack is started
    folder = tmp_path_factory.mktemp("honest")
    loop = ShortLoop(folder)
    try:
        loop.start()
        ports = loop.ports()
        targets = {name: [f"127.0.0.1:{ports[name]}"] for name in SERVICES}
        (folder / "rules").mkdir()
        rules = with_short_waits(folder / "rules")
        with running_prometheus(
            folder / "prometheus", targets, rules=rules, key_file=key_path(loop.home, PROMETHEUS)
        ) as running:
            running.wait_for_targets()
            loop.deploy()
            loop.run(first_day=lambda: healthy_day.look(running))
            people(loop)
            newest = f'homeostat_inference_generation{{model="{MODEL}"}} >= 3'
            running.wait_for(newest)
            # Recording rules follow one after another, each a second behind.
            running.wait_for("homeostat:verdict_late:ratio_rate3d")
            # A rate needs two scrapes, and the youngest series was born by the last thing people did, a moment ago.
            scrapes = f"min(count_over_time(up[{WINDOW}]))"
            running.wait_for(f"{scrapes} >= {running.query(scrapes)[0].value + 3}")
            yield running
    finally:
        loop.end()


def people(loop: ShortLoop) -> None:
    """What people do: ask wrongly, ask for a retraining twice, take a version back."""
    assert loop.post("inference", "/predict", {"model": MODEL, "rows": [{"service": 3}]}).status_code == 422
    cause = {"model": MODEL, "reason": "to see what it says", "key": "asked-twice", "actor": "somebody"}
    for _ in range(2):
        loop.post("retraining", "/triggers", cause).raise_for_status()
    until(
        lambda: (
            not any(
                run["state"] in ("training", "evaluating", "promoting")
                for run in loop.get("retraining", "/runs")["runs"]
            )
        ),
        60,
        "the run that was asked for ends",
    )
    loop.post(
        "retraining", f"/models/{MODEL}/rollback", {"actor": "somebody", "reason": "to see it"}
    ).raise_for_status()


def test_no_alert_fires_while_all_is_well(prometheus: RunningPrometheus, healthy_day: HealthyDay) -> None:
    # With its real wait of two hours it ignores a short backlog; with the short wait of this test it fires at once.
    healthy_day.alerts.pop("HomeostatMlflowSyncBehind", None)
    assert healthy_day.alerts == {}
    assert set(healthy_day.error_ratio) == {0.0}
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert len({group["file"] for group in groups}) == len(SHIPPED_RULES)
    assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] != "ok"] == []


def values(prometheus: RunningPrometheus, text: str) -> list[float]:
    """The numbers an expression yields; not-a-number is none."""
    asked = with_values(text, rate=WINDOW, interval=WINDOW, span="1h")
    return [sample.value for sample in prometheus.query(asked) if not math.isnan(sample.value)]


@cache
def is_there(prometheus: RunningPrometheus, wanted: Series) -> bool:
    """Whether anything was ever scraped (or recorded) that a selector asks for. The loop has ended, so one answer holds."""
    return bool(prometheus.query(f"present_over_time({with_values(str(wanted))}[{WINDOW}])"))


@dataclass(frozen=True)
class Quiet:
    """A series on the list, with its reason; `sometimes` a loop does make it."""

    series: Series
    reason: str
    sometimes: bool


@cache
def quiet() -> list[Quiet]:
    """Series that this loop does not make."""
    listed = yaml.safe_load(QUIET.read_text("utf-8"))["quiet"]
    return [
        Quiet(one, entry["reason"], entry.get("sometimes", False))
        for entry in listed
        for one in series(entry["series"])
    ]


def listed(wanted: Series) -> list[Quiet]:
    """The entries of the list for a selector: the same metric, and every label the list asks for."""
    return [
        one
        for one in quiet()
        if wanted.metric == one.series.metric and one.series.matchers <= wanted.matchers
    ]


def excused(wanted: Series) -> bool:
    """Whether a selector asks for series on the list."""
    return bool(listed(wanted))


def may_be_gone(wanted: Series) -> bool:
    """Whether a selector asks for series that a loop makes sometimes: on a slow machine they come, and a rollback ends them."""
    return any(one.sometimes for one in listed(wanted))


@cache
def everything() -> list[Expression]:
    boards = [each for name, board in load().items() for each in board_expressions(name, board)]
    return [*boards, *rule_expressions()]


def unheard(prometheus: RunningPrometheus, expression: Expression) -> list[Series]:
    """What an expression asks for and nobody has."""
    return [one for one in series(expression.text) if not is_there(prometheus, one)]


def test_every_panel_has_data_or_its_series_are_on_the_list(prometheus: RunningPrometheus) -> None:
    empty = []
    for expression in everything():
        if expression.kind in ("panel", "record") and not values(prometheus, expression.text):
            lacking = unheard(prometheus, expression)
            if not all(map(excused, lacking)) or not (
                lacking or any(map(may_be_gone, series(expression.text)))
            ):
                empty.append(f"{expression}: {expression.text} (no series: {', '.join(map(str, lacking))})")
    assert not empty, "\n".join(empty)


def test_every_alert_and_mark_asks_for_series_that_are_there(prometheus: RunningPrometheus) -> None:
    """An alert of a healthy loop is empty, so what it asks for is looked at instead."""
    lacking = [
        f"{expression}: {one}"
        for expression in everything()
        if expression.kind in ("alert", "annotation")
        for one in unheard(prometheus, expression)
        if not excused(one)
    ]
    assert not lacking, "\n".join(lacking)


def test_the_list_is_honest(prometheus: RunningPrometheus) -> None:
    """What is on the list is asked for somewhere, has no data, and says why."""
    asked = {one for expression in everything() for one in series(expression.text)}
    for entry in quiet():
        one = entry.series
        assert re.fullmatch(r"[A-Z].{15,}\.", entry.reason), one
        assert any(each.metric == one.metric and one.matchers <= each.matchers for each in asked), (
            f"nothing asks for {one} any more: take it off {QUIET.name}"
        )
        assert entry.sometimes or not is_there(prometheus, one), f"{one} has data: take it off {QUIET.name}"


def test_what_a_legend_names_is_there(prometheus: RunningPrometheus) -> None:
    """A legend made of labels that the result lacks would leave its series without a name."""
    nameless = []
    for name, board in load().items():
        for panel in panels(board):
            for target in panel["targets"]:
                labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                asked = with_values(target["expr"], rate=WINDOW, interval=WINDOW)
                for sample in prometheus.query(asked):
                    if not labels - MAY_BE_EMPTY <= set(sample.labels):
                        nameless.append(f"{name} / {panel['title']}: {labels - set(sample.labels)}")
    assert not nameless, "\n".join(nameless)


def test_board_values_match_the_events(prometheus: RunningPrometheus) -> None:
    """Not only is there something: the boards say what the loop did."""
    shown = {
        (name, panel["title"]): [target["expr"] for target in panel["targets"]]
        for name, board in load().items()
        for panel in panels(board)
    }

    def value(title: str, place: int = 0, board: str = "loop", **labels: str) -> list[float]:
        asked = with_values(shown[board, title][place], rate=WINDOW, interval=WINDOW)
        return [
            sample.value
            for sample in prometheus.query(asked)
            if labels.items() <= sample.labels.items() and not math.isnan(sample.value)
        ]

    assert value("Decisions, by reason", action="retrain", reason_code="drift")[0] >= 1
    assert value("Finished runs, by outcome", outcome="promoted")[0] >= 1
    assert max(value("Score ÷ threshold")) > 1
    assert value("Requests per second, by outcome", outcome="answered")[0] > 0
    assert value("Releases, by reason", board="retraining", reason="rollback") == [1]
    assert value("Loss: first version and served version", 0) > value(
        "Loss: first version and served version", 1
    )
    assert value("Loss reduction by retraining")[0] > 0
    served, log = value("Generation served, by server", 0), value("Generation served, by server", 1)
    assert served == log


def test_an_empty_expression_would_be_seen(prometheus: RunningPrometheus) -> None:
    nobody = Expression("panel", "a board", "sum(rate(homeostat_nobody_total[$__rate_interval]))")
    assert values(prometheus, nobody.text) == []
    assert unheard(prometheus, nobody) == [Series("homeostat_nobody_total", frozenset())]
    assert not excused(Series("homeostat_nobody_total", frozenset()))
    assert isinstance(promql_parser.parse(with_values(nobody.text)), promql_parser.AggregateExpr)
