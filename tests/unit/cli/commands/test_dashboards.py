"""`homeostat dashboards`: publishing and checking boards in a fake Grafana."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.grafana.diagnosis import check_grafana
from cli.grafana.shipped_boards import SHIPPED, current_data_source, read_boards
from cli.main import app
from local_stack.settings import LocalStackSettings
from shared.observability.monitoring_login import ensure_password, password_path
from tests.fakes.grafana_server import TOKEN, FakeGrafana, Trouble, answers, page
from tests.waiting import bound

UIDS = [board.uid for board in read_boards(SHIPPED)]
COUNT = len(UIDS)


VERSIONS = ("11.6.0", "12.4.0", "13.3.0")
# Where versions answer in their own way; tests/conformance/test_grafana.py sends each version every request.
each_version = pytest.mark.parametrize("grafana", VERSIONS, indirect=True)


@pytest.fixture
def grafana(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGrafana]:
    """The newest version, or that of `each_version`."""
    server = FakeGrafana(getattr(request, "param", VERSIONS[-1]))
    monkeypatch.setenv("HOMEOSTAT_GRAFANA_URL", server.url)
    monkeypatch.setenv("HOMEOSTAT_GRAFANA_TOKEN", TOKEN)
    yield server
    server.stop()
    assert server.violations == [], "a request that Grafana's documentation does not describe"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["dashboards", *arguments])


def publish(*arguments: str, code: int = 0) -> dict[str, Any]:
    shown = run("publish", "--json", *arguments)
    assert shown.exit_code == code, shown.output
    document = json.loads(shown.stdout)
    assert isinstance(document, dict)
    return document


def results(document: dict[str, Any]) -> dict[str, str]:
    return {item["uid"]: item["result"] for item in document["items"]}


@each_version
def test_publish_to_empty_grafana(grafana: FakeGrafana) -> None:
    document = publish("--prometheus-url", "http://prometheus:9090")
    assert (document["version"], document["organization"], document["ok"]) == (
        grafana.version,
        "Main Org.",
        True,
    )
    assert results(document) == dict.fromkeys(["homeostat", "homeostat-prometheus", *UIDS], "created")
    assert grafana.folders["homeostat"]["title"] == "Homeostat"
    source = grafana.data_sources["homeostat-prometheus"]
    assert (source["type"], source["url"], source["isDefault"]) == (
        "prometheus",
        "http://prometheus:9090",
        False,
    )
    assert sorted(grafana.boards) == sorted(UIDS)
    for shipped in read_boards(SHIPPED):
        kept = grafana.board(shipped.uid)
        assert current_data_source(kept) == ("homeostat-prometheus", "Homeostat Prometheus")
        assert kept["panels"] == shipped.model["panels"]
        assert grafana.boards[shipped.uid][-1]["folder"] == "homeostat"


def test_second_run_changes_nothing(grafana: FakeGrafana) -> None:
    publish("--prometheus-url", "http://prometheus:9090")
    before = len(grafana.writes)
    for arguments in ((), ("--prometheus-url", "http://prometheus:9090/"), ("--overwrite",)):
        document = publish(*arguments)
        assert set(results(document).values()) == {"unchanged"}
    assert len(grafana.writes) == before
    assert {uid: len(saves) for uid, saves in grafana.boards.items()} == dict.fromkeys(UIDS, 1)


def test_dry_run_writes_nothing(grafana: FakeGrafana) -> None:
    dry = publish("--dry-run")
    assert dry["dry_run"] is True
    assert grafana.writes == []
    assert results(dry) == results(publish())
    grafana.edit_by_hand(UIDS[0], title="Mine")
    before = len(grafana.writes)
    assert results(publish("--dry-run", "--overwrite"))[UIDS[0]] == "updated"
    assert "would be" in run("publish", "--dry-run").stdout
    assert len(grafana.writes) == before


def test_board_without_edits_is_updated(grafana: FakeGrafana, tmp_path: Path) -> None:
    publish()
    for path in SHIPPED.glob("*.json"):
        model = json.loads(path.read_text())
        if model["uid"] == UIDS[0]:
            model["refresh"] = "2h"
        (tmp_path / path.name).write_text(json.dumps(model))
    found = results(publish("--boards", str(tmp_path)))
    assert Counter(found.values()) == {"updated": 1, "unchanged": COUNT + 1}
    assert found[UIDS[0]] == "updated"
    assert grafana.board(UIDS[0])["refresh"] == "2h"
    assert [save["version"] for save in grafana.boards[UIDS[0]]] == [1, 2]


@each_version
@pytest.mark.parametrize("keeps_message", [False, True])
def test_edited_board_is_kept_without_overwrite(grafana: FakeGrafana, keeps_message: bool) -> None:
    publish()
    grafana.edit_by_hand(UIDS[1], title="My inference", keeps_message=keeps_message)
    document = publish(code=1)
    assert results(document)[UIDS[1]] == "kept"
    assert document["ok"] is False
    detail = next(item["detail"] for item in document["items"] if item["uid"] == UIDS[1])
    assert "edited by anna (version 2)" in detail
    assert "--overwrite" in detail
    assert grafana.board(UIDS[1])["title"] == "My inference"
    assert results(publish("--overwrite"))[UIDS[1]] == "updated"
    assert grafana.board(UIDS[1])["title"] != "My inference"
    assert results(publish())[UIDS[1]] == "unchanged"


def test_moved_board_stays_in_its_folder(grafana: FakeGrafana) -> None:
    publish()
    grafana.boards[UIDS[0]][-1]["folder"] = ""
    document = publish(code=1)
    assert "moved to the folder General" in str(document["items"])
    assert grafana.boards[UIDS[0]][-1]["folder"] == ""


def test_concurrent_save_is_kept(grafana: FakeGrafana, tmp_path: Path) -> None:
    """Between our look and our save: the version we send is the precondition, and Grafana refuses."""
    publish()
    for path in SHIPPED.glob("*.json"):
        (tmp_path / path.name).write_text(json.dumps(json.loads(path.read_text()) | {"refresh": "2h"}))
    grafana.troubles.append(
        answers(
            412, "The dashboard has been changed by someone else", method="POST", path="/api/dashboards/db"
        )
    )
    shown = run("publish", "--boards", str(tmp_path), "--json")
    assert shown.exit_code == 3
    assert "publish again" in json.loads(shown.stdout)["hint"]
    assert results(publish("--boards", str(tmp_path)))[UIDS[0]] == "updated"


@each_version
def test_interrupted_run_is_completed_by_the_next(grafana: FakeGrafana) -> None:
    grafana.troubles.extend(
        [
            Trouble("answer", 204, method="POST", path="/api/folders", carried_out=True),
            Trouble("close", method="POST", path="/api/datasources", carried_out=True),
            Trouble("close", method="POST", path="/api/dashboards/db", carried_out=True),
        ]
    )
    for _ in range(2):
        assert run("publish").exit_code == 5
    assert set(results(publish()).values()) == {"created", "unchanged"}
    assert {uid: len(saves) for uid, saves in grafana.boards.items()} == dict.fromkeys(UIDS, 1)


def test_provisioned_boards_are_kept(grafana: FakeGrafana) -> None:
    publish()
    grafana.provisioned.add(UIDS[0])
    document = publish("--overwrite", code=1)
    assert results(document)[UIDS[0]] == "kept"
    assert "provisioned from a file" in str(document["items"])


def test_data_source_url_follows_the_option(grafana: FakeGrafana) -> None:
    publish()
    assert grafana.data_sources["homeostat-prometheus"]["url"] == "http://127.0.0.1:9090"
    grafana.data_sources["homeostat-prometheus"] |= {"name": "Named by hand", "url": "http://by-hand:9090"}
    assert results(publish())["homeostat-prometheus"] == "unchanged"
    found = publish("--prometheus-url", "http://prometheus:9090")
    assert results(found)["homeostat-prometheus"] == "updated"
    source = grafana.data_sources["homeostat-prometheus"]
    assert (source["url"], source["name"]) == ("http://prometheus:9090", "Named by hand")


def test_data_source_of_the_stack_has_its_login(
    grafana: FakeGrafana, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path))
    ensure_password(tmp_path)
    publish("--prometheus-url", "http://elsewhere:9090")
    source = grafana.data_sources["homeostat-prometheus"]
    # The installation's password is not for another server.
    assert (source["basicAuth"], source["secureJsonFields"]) == (False, {})
    monkeypatch.setenv("HOMEOSTAT_MONITORING_PASSWORD_FILE", str(password_path(tmp_path)))
    publish("--prometheus-url", "http://prometheus:9090")
    source = grafana.data_sources["homeostat-prometheus"]
    assert (source["basicAuth"], source["basicAuthUser"]) == (True, "homeostat")
    assert source["secureJsonFields"] == {"basicAuthPassword": True}
    grafana.data_sources.clear()
    monkeypatch.delenv("HOMEOSTAT_MONITORING_PASSWORD_FILE")
    publish()
    assert grafana.data_sources["homeostat-prometheus"]["basicAuth"] is True


def test_provisioned_data_source_is_kept(grafana: FakeGrafana) -> None:
    grafana.add_data_source("homeostat-prometheus", "Prometheus", "http://prometheus:9090", readOnly=True)
    document = publish("--prometheus-url", "http://elsewhere:9090", code=1)
    assert results(document)["homeostat-prometheus"] == "kept"
    assert set(results(publish()).values()) == {"unchanged"}


def test_existing_data_source_stays_in_use(grafana: FakeGrafana) -> None:
    grafana.add_data_source("company", "Company Prometheus", "http://prom:9090")
    publish("--datasource-uid", "company")
    assert list(grafana.data_sources) == ["company"]
    assert current_data_source(grafana.board(UIDS[0])) == ("company", "Company Prometheus")
    assert set(results(publish()).values()) == {"unchanged"}
    assert list(grafana.data_sources) == ["company"]


def test_deleted_data_source_is_replaced(grafana: FakeGrafana) -> None:
    grafana.add_data_source("company", "Company Prometheus", "http://prom:9090")
    publish("--datasource-uid", "company")
    del grafana.data_sources["company"]
    found = results(publish())
    assert (found["homeostat-prometheus"], found[UIDS[0]]) == ("created", "updated")
    assert current_data_source(grafana.board(UIDS[0]))[0] == "homeostat-prometheus"


def test_editor_publishes_with_existing_data_source(grafana: FakeGrafana) -> None:
    """Without Grafana's role Admin data sources can neither be read nor created."""
    grafana.role = "Editor"
    shown = run("publish")
    assert shown.exit_code == 5
    assert "datasources:read (role Admin)" in shown.output
    document = publish("--datasource-uid", "company")
    assert "do not permit reading" in str(document["items"])
    assert current_data_source(grafana.board(UIDS[0])) == ("company", "company")


def test_other_kind_of_data_source_is_refused(grafana: FakeGrafana) -> None:
    grafana.add_data_source("logs", "Loki", "http://loki:3100", type="loki")
    assert "is a loki" in json.loads(run("publish", "--datasource-uid", "logs", "--json").stdout)["error"]
    assert (
        "no data source" in json.loads(run("publish", "--datasource-uid", "none", "--json").stdout)["error"]
    )
    assert grafana.boards == {}


def test_taken_data_source_name_has_a_hint(grafana: FakeGrafana) -> None:
    grafana.add_data_source("other", "Homeostat Prometheus", "http://prom:9090")
    document = publish(code=3)
    assert "--datasource-uid" in document["hint"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--prometheus-url", "prometheus:9090"), 3),
        (("--prometheus-url", "http://a", "--datasource-uid", "b"), 3),
        (("--boards", "/nowhere"), 5),
        (("--grafana-url", "grafana:3000"), 5),
    ],
)
def test_wrong_option_is_refused_before_any_request(
    grafana: FakeGrafana, arguments: tuple[str, ...], code: int
) -> None:
    assert publish(*arguments, code=code)["hint"] or arguments[0] == "--prometheus-url"
    assert grafana.requests == []


@pytest.mark.parametrize(
    ("trouble", "code", "words"),
    [
        (answers(401, "Invalid API key", path="/api/org"), 5, "HOMEOSTAT_GRAFANA_TOKEN"),
        (answers(403, "no", path="/api/org"), 5, "orgs:read"),
        (answers(503, "starting"), 5, "not ready"),
        (page(200), 5, "HOMEOSTAT_GRAFANA_URL"),
        (Trouble("answer", 302, headers=(("Location", "/login"),)), 5, "redirects"),
        (Trouble("close"), 5, "the connection was closed"),
    ],
)
def test_grafana_error_has_a_hint(grafana: FakeGrafana, trouble: Trouble, code: int, words: str) -> None:
    grafana.always = trouble
    shown = run("publish")
    assert shown.exit_code == code
    assert words in shown.output
    assert TOKEN not in shown.output
    assert grafana.writes == []


def test_missing_credentials_name_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOMEOSTAT_GRAFANA_URL", raising=False)
    assert "HOMEOSTAT_GRAFANA_URL" in publish(code=5)["hint"]
    assert "HOMEOSTAT_GRAFANA_TOKEN" in publish("--grafana-url", "http://127.0.0.1:1", code=5)["hint"]


def findings(**changed: Any) -> dict[str, tuple[str, str]]:
    found = list(check_grafana(LocalStackSettings().model_copy(update=changed)))
    assert len({finding.checked for finding in found}) == len(found)
    for finding in found:
        assert finding.state in ("ok", "off") or finding.hint, finding
    return {finding.checked: (finding.state, finding.found) for finding in found}


@each_version
def test_check_of_healthy_grafana(grafana: FakeGrafana) -> None:
    publish()
    before = len(grafana.writes)
    assert findings() == {
        "grafana": ("ok", f"{grafana.version} at {grafana.url}"),
        "grafana login": ("ok", "organization Main Org."),
        "grafana data source": ("ok", "homeostat-prometheus: Successfully queried the Prometheus API."),
        "grafana boards": ("ok", f"all {COUNT} are published"),
    }
    assert len(grafana.writes) == before
    assert run("check").exit_code == 0


def test_check_of_empty_grafana(grafana: FakeGrafana) -> None:
    found = findings()
    assert found["grafana boards"][0] == "failure"
    assert UIDS[0] in found["grafana boards"][1]
    assert found["grafana data source"][0] == "failure"
    shown = run("check", "--json")
    assert shown.exit_code == 1
    assert json.loads(shown.stdout)["ok"] is False
    assert "homeostat dashboards publish" in run("check").stdout


def test_check_finds_outdated_and_edited_boards(grafana: FakeGrafana, tmp_path: Path) -> None:
    for path in SHIPPED.glob("*.json"):
        model = json.loads(path.read_text())
        (tmp_path / path.name).write_text(
            json.dumps(model | {"refresh": "2h"} if model["uid"] == UIDS[0] else model)
        )
    publish("--boards", str(tmp_path))
    assert findings()["grafana boards"] == ("warning", f"outdated: {UIDS[0]}")
    publish()
    grafana.edit_by_hand(UIDS[1], title="Mine")
    assert findings()["grafana boards"] == ("warning", f"changed in Grafana: {UIDS[1]}")
    assert run("check").exit_code == 0


def test_check_uses_data_source_of_the_boards(grafana: FakeGrafana) -> None:
    grafana.add_data_source("company", "Company Prometheus", "http://prom:9090")
    publish("--datasource-uid", "company")
    assert findings()["grafana data source"] == ("ok", "company: Successfully queried the Prometheus API.")
    grafana.data_sources_answer = False
    state, said = findings()["grafana data source"]
    assert (state, "connection refused" in said) == ("failure", True)


@each_version
def test_check_names_missing_permission(grafana: FakeGrafana) -> None:
    publish()
    grafana.role = "Viewer"
    found = list(check_grafana(LocalStackSettings()))
    lacking = [finding.found for finding in found if finding.checked == "grafana permissions"]
    assert [text.split(":")[0:2] for text in lacking] == [
        ["the credentials lack annotations", "create"],
        ["the credentials lack dashboards", "write"],
    ]


def test_check_stops_after_a_wrong_token(grafana: FakeGrafana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_GRAFANA_TOKEN", "glsa_expired")
    found = [finding for finding in check_grafana(LocalStackSettings()) if finding.state == "failure"]
    assert ["HOMEOSTAT_GRAFANA_TOKEN" in finding.found for finding in found] == [True]
    assert [one.path for one in grafana.requests] == ["/api/health", "/api/org"]


def test_check_of_hanging_grafana_is_bounded(grafana: FakeGrafana) -> None:
    publish()
    grafana.always = Trouble("hang", path="/api/access-control")
    start = time.monotonic()
    found = list(check_grafana(LocalStackSettings()))
    assert time.monotonic() - start < bound(7)
    assert (found[-1].state, "no response before the timeout" in found[-1].found) == ("failure", True)


def test_check_of_old_grafana_warns(grafana: FakeGrafana) -> None:
    publish()
    grafana.version = "10.4.2"
    assert findings()["grafana"][0] == "warning"


def test_check_without_grafana_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOMEOSTAT_GRAFANA_URL", raising=False)
    assert [state for state, _ in findings().values()] == ["off"]
    assert run("check").exit_code == 0
