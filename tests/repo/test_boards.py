"""Boards are what their code writes, follow one form, and ask for nothing that nobody emits."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from dashboards.generate import BOARDS as MAKERS
from dashboards.generate import FOLDER, HINT, encode, generated, main
from dashboards.parts import palette, variable
from docs.reference.commands import all_commands
from docs.reference.metrics import all_metrics
from docs.reference.settings import all_settings
from tests.boards import (
    ROOT,
    alerts_named,
    board_expressions,
    exposed,
    load,
    panels,
    parsed,
    raw_counters,
    recorded,
    rule_expressions,
    series,
    with_values,
    words_of,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

LOADED = load()
NAMES = sorted(LOADED)
EXPRESSIONS = [each for name in NAMES for each in board_expressions(name, LOADED[name])]
each_board = pytest.mark.parametrize("name", NAMES)
PROVISIONING = ROOT / "dashboards" / "grafana" / "provisioning"
# Series that no service of ours makes: Prometheus does.
OF_PROMETHEUS = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity", "model"}}
# Units by Grafana's names.
UNITS = {"none", "short", "s", "bytes", "percentunit", "reqps"}
PALETTE = {
    value
    for value in vars(palette).values()
    if isinstance(value, str) and re.fullmatch("#[0-9A-F]{6}", value)
}


@pytest.fixture(params=NAMES)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    return LOADED[request.param]


def test_the_committed_boards_are_what_their_code_writes() -> None:
    boards = [path for path in generated() if path.parent == FOLDER]
    assert sorted(FOLDER.glob("*.json")) == sorted(boards), HINT
    for path, text in generated().items():
        assert path.read_text("utf-8") == text, f"{path.name} differs: {HINT}"
    assert all(generated()[path].endswith("}\n") for path in boards)


def test_the_check_names_what_differs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dashboards.generate.FOLDER", tmp_path)
    monkeypatch.setattr("dashboards.generate.BOARDS", {"loop": MAKERS["loop"]})
    (tmp_path / "gone.json").write_text("{}")
    assert main(["--check"]) == 1
    said = capsys.readouterr().out
    assert "differs: loop.json" in said
    assert "differs: gone.json" in said
    assert HINT in said
    assert not (tmp_path / "loop.json").exists()
    assert main([]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loop.json"]
    assert main(["--check"]) == 0


@each_board
def test_the_sdk_reads_a_board_and_writes_the_same(name: str) -> None:
    register_default_plugins()
    assert encode(Dashboard.from_json(LOADED[name])) == (FOLDER / f"{name}.json").read_text("utf-8")


def test_every_board_has_its_place(board: dict[str, Any]) -> None:
    expected = {
        "homeostat-loop",
        "homeostat-inference",
        "homeostat-prediction-log",
        "homeostat-drift",
        "homeostat-retraining",
    }
    assert {each["uid"] for each in LOADED.values()} == expected
    assert board["title"].startswith("Homeostat: ")
    assert board["description"]
    assert board["tags"] == ["homeostat"]
    assert board["version"] >= 1
    assert board["schemaVersion"] >= 36  # Grafana 9.1: older forms are rewritten when they are loaded
    assert "id" not in board  # Grafana gives it; a number of another Grafana would hit another board
    assert re.fullmatch(r"now-\d+[mh]", board["time"]["from"])
    assert board["time"]["to"] == "now"
    assert board["refresh"] == "30s"


def test_every_board_has_the_same_variables(board: dict[str, Any]) -> None:
    found = {each["name"]: each for each in board["templating"]["list"]}
    assert list(found) == ["datasource", "model", "console"]
    assert found["datasource"]["query"] == "prometheus"
    assert found["datasource"]["current"]["value"] == variable.DATASOURCE_UID
    assert found["console"]["query"] == "http://localhost:8005"
    models = found["model"]
    assert (models["multi"], models["includeAll"], models["allValue"]) == (True, True, ".*")
    assert models["datasource"]["uid"] == "${datasource}"
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", models["query"]["query"]).groups()  # type: ignore[union-attr]
    assert label in exposed()[metric][1]


def test_panels_lie_on_the_grid_without_overlap(board: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["w"] >= 3
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken[x, y]}"
                taken[x, y] = panel["title"]
    height = max(y for _, y in taken) + 1
    assert len(taken) == 24 * height, "the grid has holes"


def test_every_panel_can_be_linked_to_for_good(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(titles)) == len(titles)


def test_the_numbers_of_panels_stay() -> None:
    """A link to a panel holds its number: this one must be the same in every version."""
    loop = {panel["title"]: panel["id"] for panel in panels(LOADED["loop"])}
    assert loop["Last prediction"] == 492810


def test_every_panel_has_a_description(board: dict[str, Any]) -> None:
    for panel in panels(board):
        shown = panel["fieldConfig"]["defaults"]
        assert 5 <= len(panel["title"]) <= 60, panel["title"]
        assert shown["unit"] in UNITS, panel["title"]
        meaning, normal, hint = panel["description"].split("\n\n")
        assert meaning.endswith("."), panel["title"]
        assert re.fullmatch(r"\*\*Normal:\*\* .+\.", normal), panel["title"]
        assert re.fullmatch(r"\*\*If not:\*\* .+\.", hint), panel["title"]
        # Why nothing is there, and (after a colon or a second sentence) what to do or whether that is well.
        assert re.fullmatch(r"[A-Z].{20,}\.", shown["noValue"]), panel["title"]
        assert re.search(r"[:.,] ", shown["noValue"]), f"{panel['title']}: no data, and then?"
        assert shown["thresholds"]["steps"], panel["title"]


def test_every_graph_has_a_legend_and_every_series_a_name(board: dict[str, Any]) -> None:
    for panel in panels(board):
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"], panel["title"]
        for target in panel["targets"]:
            assert target["legendFormat"] or panel["type"] == "table", panel["title"]
            # What a legend names is a label of what comes out.
            kept = re.findall(r"by \(([^)]*)\)", target["expr"])
            kept += ["model"] if "homeostat:" in target["expr"] else []
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert any(label in labels for labels in kept), f"{panel['title']}: {label}"


def test_colours_can_be_distinguished(board: dict[str, Any]) -> None:
    """Only colours of the palette, so none that a colour-blind person takes for another."""
    assert set(re.findall(r'"(#[0-9A-Fa-f]{6})"', json.dumps(board))) <= PALETTE
    named = re.findall(r'"(?:color|fixedColor|iconColor)": "([^"]+)"', json.dumps(board))
    assert set(named) <= PALETTE


def test_every_query_asks_the_chosen_data_source(board: dict[str, Any]) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels(board):
        assert panel["datasource"] == chosen
        assert panel["targets"], panel["title"]
        assert [target["refId"] for target in panel["targets"]] == [
            chr(ord("A") + place) for place in range(len(panel["targets"]))
        ]
        assert all(target["datasource"] == chosen for target in panel["targets"])


def test_a_figure_is_of_now_and_never_the_last_of_a_course(board: dict[str, Any]) -> None:
    """The last value of an hour would stand there as if it held, while the service it speaks of is down."""
    for panel in panels(board):
        for target in panel["targets"]:
            assert target.get("instant", False) == (panel["type"] in ("stat", "bargauge", "table")), panel[
                "title"
            ]
            assert target.get("range", False) != target.get("instant", False), panel["title"]


def test_annotations_are_those_the_services_write(board: dict[str, Any]) -> None:
    listed = board["annotations"]["list"]
    stored = [each for each in listed if each["datasource"]["uid"] == "-- Grafana --"]
    assert [each["target"]["tags"] for each in stored] == [
        ["homeostat", kind] for kind in ("drift", "data_fault", "release", "rollback")
    ]
    assert all(each["enable"] and not each["target"]["matchAny"] for each in stored)
    others = [each for each in listed if each not in stored]
    assert [each["name"] for each in others] == [f"{each['name']} (from metrics)" for each in stored]
    assert not any(each["enable"] for each in others)


def test_links_lead_to_boards_and_to_the_console(board: dict[str, Any]) -> None:
    uids = {each["uid"] for each in LOADED.values()}
    known = {each["name"] for each in board["templating"]["list"]}
    by_tag, console = board["links"]
    assert by_tag["type"] == "dashboards"
    assert all(set(by_tag["tags"]) <= set(each["tags"]) for each in LOADED.values())
    assert by_tag["keepTime"]
    assert by_tag["includeVars"]
    assert console["url"] == "${console}/"
    inner = [link["url"] for panel in panels(board) for link in panel.get("links", ())]
    for url in inner:
        assert re.match(r"/d/([\w-]+)\?", url)[1] in uids  # type: ignore[index]
    for url in [*inner, console["url"]]:
        variables = set(re.findall(r"\$\{(\w+)", url)) - {"__url_time_range"}
        assert variables <= known


def test_the_loop_leads_to_every_other_board() -> None:
    urls = {link["url"].partition("?")[0] for panel in panels(LOADED["loop"]) for link in panel["links"]}
    assert urls == {f"/d/{each['uid']}" for each in LOADED.values()} - {"/d/homeostat-loop"}


def test_what_a_board_names_exists(board: dict[str, Any]) -> None:
    """Alerts, commands and settings in the words of a board."""
    said = words_of(board)
    alerts = {each.place.rpartition(" / ")[2] for each in rule_expressions() if each.kind == "alert"}
    assert alerts_named(said) <= alerts
    commands = {command.name.split()[0] for command in all_commands()}  # a group, or a command of its own
    assert set(re.findall(r"`homeostat ([a-z]+)", said)) <= commands
    settings = {setting.variable for setting in all_settings()}
    assert set(re.findall(r"HOMEOSTAT_[A-Z_]*[A-Z]", said)) <= settings


@each_board
def test_an_expression_can_be_read(name: str) -> None:
    for expression in board_expressions(name, LOADED[name]):
        assert "$" not in with_values(expression.text), expression
        assert parsed(expression.text)


@each_board
def test_an_expression_asks_for_what_exists(name: str) -> None:
    labels = {metric: found for metric, (_, found) in exposed().items()} | OF_PROMETHEUS
    labels |= {record: {"model"} for record in recorded()}
    for expression in board_expressions(name, LOADED[name]):
        for wanted in series(expression.text):
            assert wanted.metric in labels, f"{expression}: nobody makes {wanted.metric}"
            asked = {re.split(r"[=!~]", matcher, maxsplit=1)[0] for matcher in wanted.matchers}
            assert asked <= labels[wanted.metric], f"{expression}: {wanted} has no such label"
        possible = set().union(*(labels[each.metric] for each in series(expression.text)))
        for grouped in re.findall(r"by \(([^)]*)\)", expression.text):
            assert set(grouped.split(", ")) <= possible, f"{expression}: by ({grouped})"


@each_board
def test_an_expression_follows_the_rules_of_promql(name: str) -> None:
    for expression in board_expressions(name, LOADED[name]):
        text = expression.text
        assert raw_counters(text) == [], f"{expression}: a counter is shown as a rate, never raw"
        assert not re.search(r"\bavg\b|_over_time\(.*quantile", text), (
            f"{expression}: averages hide what matters"
        )
        # rate() takes Grafana's window, which is never shorter than four scrapes.
        windows = set(re.findall(r"\brate\([^[]*\[([^\]]+)\]", text))
        assert windows <= {"$__rate_interval"}, f"{expression}: rate over {windows}"
        for inner in re.findall(r"histogram_quantile\([\d.]+, (.*)\)$", text):
            assert inner.startswith("sum by (le"), f"{expression}: a quantile is made of summed buckets"


def test_a_metric_with_a_model_is_chosen_by_it() -> None:
    """A panel that shows models obeys the variable at the top."""
    known = exposed()
    forgetful = [
        f"{expression}: {wanted}"
        for expression in EXPRESSIONS
        for wanted in series(expression.text)
        if "model" in known.get(wanted.metric, ("", set()))[1]
        and not any(matcher.startswith("model=~") for matcher in wanted.matchers)
    ]
    assert forgetful == []


def test_every_metric_stands_on_a_board_or_in_a_rule_or_on_the_list_with_a_reason() -> None:
    listed = yaml.safe_load((ROOT / "dashboards" / "unused_metrics.yaml").read_text("utf-8"))["unused"]
    unused = {entry["metric"]: entry["reason"] for entry in listed}
    assert all(re.fullmatch(r".{20,}\.", reason) for reason in unused.values())
    asked = {wanted.metric for each in [*EXPRESSIONS, *rule_expressions()] for wanted in series(each.text)}
    used = {
        metric.name
        for metric in all_metrics()
        if asked & {metric.name, *(f"{metric.name}{end}" for end in ("_bucket", "_sum", "_count"))}
    }
    assert {metric.name for metric in all_metrics()} - used == set(unused)


# Provisioning: the keys Grafana's documentation gives for these files.
DATASOURCE_KEYS = {
    "name", "type", "access", "orgId", "uid", "url", "user", "database", "basicAuth", "basicAuthUser",
    "withCredentials", "isDefault", "jsonData", "secureJsonData", "version", "editable",
}  # fmt: skip
PROVIDER_KEYS = {
    "name", "orgId", "folder", "folderUid", "type", "disableDeletion", "updateIntervalSeconds", "allowUiUpdates", "options",
}  # fmt: skip


def test_the_data_sources_are_those_the_boards_ask() -> None:
    (path,) = (PROVISIONING / "datasources").glob("*")
    document = yaml.safe_load(path.read_text("utf-8"))
    assert set(document) == {"apiVersion", "datasources"}
    assert document["apiVersion"] == 1
    found = {each["type"]: each for each in document["datasources"]}
    assert set(found) == {"prometheus", "alertmanager"}
    assert all(set(each) <= DATASOURCE_KEYS for each in found.values())
    assert found["prometheus"]["uid"] == variable.DATASOURCE_UID
    assert found["prometheus"]["name"] == "Prometheus"
    assert found["prometheus"]["url"] == "http://prometheus:9090"
    assert found["alertmanager"]["url"] == "http://alertmanager:9093"
    assert found["alertmanager"]["jsonData"]["implementation"] == "prometheus"
    # A password in the file would be in every copy of the repository.
    secret = {"basicAuthPassword": "$__file{/run/secrets/monitoring_password}"}
    assert [each["secureJsonData"] for each in found.values()] == [secret, secret]
    scraped = yaml.safe_load((ROOT / "dashboards" / "prometheus" / "prometheus.yml").read_text("utf-8"))
    assert found["prometheus"]["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]


def test_the_boards_are_provided_from_their_folder() -> None:
    (path,) = (PROVISIONING / "dashboards").glob("*")
    document = yaml.safe_load(path.read_text("utf-8"))
    assert set(document) == {"apiVersion", "providers"}
    (provider,) = document["providers"]
    assert set(provider) <= PROVIDER_KEYS
    assert (provider["type"], provider["folder"], provider["folderUid"]) == ("file", "Homeostat", "homeostat")
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards/homeostat"


def test_the_form_refuses_what_it_should() -> None:
    """The tests above can fail: what they look for is found in expressions that are wrong."""
    assert raw_counters("sum(homeostat_sink_rows_total)") == ["homeostat_sink_rows_total"]
    assert raw_counters("rate(homeostat_sink_rows_total[1m])") == []
    assert raw_counters("homeostat_drift_score") == []
    with pytest.raises(ValueError, match="unexpected"):
        parsed("rate(homeostat_sink_rows_total[$__unknown])")
    assert isinstance(parsed("up"), promql_parser.VectorSelector)
