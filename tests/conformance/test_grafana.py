"""What our code expects of a Grafana, held against the Grafanas 11, 12 and 13 that the stand-in with memory behaves as."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from shared.errors import CallerError, Conflict, DependencyUnavailable, NotFound
from shared.grafana.access import GrafanaAccess
from shared.grafana.client import GrafanaClient
from shared.grafana.interface import (
    Annotation,
    DataSource,
    Folder,
    GrafanaForbidden,
    GrafanaInterface,
    GrafanaUnauthorized,
    Health,
    Login,
)
from tests.fakes.grafana_server import PASSWORD, TOKEN, USER, FakeGrafana

AT = datetime(2026, 11, 21, 3, 4, 5, 678_000, tzinfo=UTC)
DRIFT = Annotation("drift: distance 0.31 over 0.12", ("homeostat", "drift", "model:flights"), AT)
BOARD: dict[str, Any] = {
    "id": None,
    "uid": "homeostat-loop",
    "title": "Homeostat / Loop",
    "schemaVersion": 39,
    "panels": [],
}
PROMETHEUS = DataSource(
    "homeostat-prometheus",
    "Homeostat Prometheus",
    "prometheus",
    "http://prometheus:9090",
    options={"httpMethod": "POST"},
)


@pytest.fixture(params=["11.6.0", "12.4.0", "13.3.0"])
def grafana(request: pytest.FixtureRequest) -> Iterator[FakeGrafana]:
    server = FakeGrafana(request.param)
    yield server
    server.stop()
    assert server.violations == [], "a request that Grafana's pages do not describe"


@pytest.fixture
def port(grafana: FakeGrafana) -> GrafanaInterface:
    return GrafanaClient(GrafanaAccess(grafana.url, token=TOKEN))


def test_health_names_the_version(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    assert port.health() == Health(version=grafana.version, database="ok")


def test_a_token_and_a_user_both_log_in(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    user = GrafanaClient(GrafanaAccess(grafana.url, user=USER, password=PASSWORD))
    assert port.check_login() == user.check_login() == Login(1, "Main Org.")


def test_a_wrong_token_and_a_wrong_password_are_refused(grafana: FakeGrafana) -> None:
    with pytest.raises(GrafanaUnauthorized, match="HOMEOSTAT_GRAFANA_TOKEN") as error:
        GrafanaClient(GrafanaAccess(grafana.url, token="glsa_expired")).check_login()
    assert "glsa_expired" not in str(error.value)
    with pytest.raises(GrafanaUnauthorized, match="HOMEOSTAT_GRAFANA_PASSWORD") as error:
        GrafanaClient(GrafanaAccess(grafana.url, user=USER, password="guessed")).check_login()
    assert "guessed" not in str(error.value)


def test_health_needs_no_login(grafana: FakeGrafana) -> None:
    assert GrafanaClient(GrafanaAccess(grafana.url, token="glsa_expired")).health().database == "ok"


def test_permissions_are_returned(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    grafana.role = "Viewer"
    granted = port.permissions()
    assert granted is not None
    assert granted["dashboards:read"] == ["*"]
    assert "dashboards:write" not in granted


def test_a_folder_is_found_once_created(port: GrafanaInterface) -> None:
    folder = Folder("homeostat", "Homeostat")
    assert port.find_folder("homeostat") is None
    port.create_folder(folder)
    assert port.find_folder("homeostat") == folder


def test_a_folder_is_created_once(port: GrafanaInterface) -> None:
    port.create_folder(Folder("homeostat", "Homeostat"))
    with pytest.raises(Conflict, match="same UID"):
        port.create_folder(Folder("homeostat", "Another"))


def test_a_data_source_is_found_by_its_uid(port: GrafanaInterface) -> None:
    assert port.find_data_source(PROMETHEUS.uid) is None
    port.create_data_source(PROMETHEUS)
    assert port.find_data_source(PROMETHEUS.uid) == PROMETHEUS


def test_a_data_source_whose_name_is_taken_is_refused(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    grafana.add_data_source("other", PROMETHEUS.name, "http://elsewhere:9090")
    with pytest.raises(Conflict, match="same name"):
        port.create_data_source(PROMETHEUS)


def test_update_keeps_unmentioned_fields(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    grafana.add_data_source(
        PROMETHEUS.uid, "Named by hand", "http://old:9090", basicAuth=True, basicAuthUser="scraper",
        secureJsonData={"basicAuthPassword": "x"}, jsonData={"timeInterval": "15s"},
    )  # fmt: skip
    port.update_data_source(PROMETHEUS)
    kept = grafana.data_sources[PROMETHEUS.uid]
    assert (kept["url"], kept["name"], kept["version"]) == (PROMETHEUS.url, PROMETHEUS.name, 2)
    assert (kept["basicAuth"], kept["basicAuthUser"]) == (True, "scraper")
    assert kept["secureJsonFields"] == {"basicAuthPassword": True}
    assert kept["jsonData"] == {"timeInterval": "15s", "httpMethod": "POST"}


def test_a_data_source_from_a_file_is_not_changed(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    grafana.add_data_source(PROMETHEUS.uid, PROMETHEUS.name, "http://old:9090", readOnly=True)
    found = port.find_data_source(PROMETHEUS.uid)
    assert found is not None
    assert found.read_only
    with pytest.raises(GrafanaForbidden, match="read-only"):
        port.update_data_source(PROMETHEUS)


def test_no_route_is_used_that_grafana_13_lost(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    port.create_data_source(PROMETHEUS)
    port.update_data_source(PROMETHEUS)
    port.check_data_source(PROMETHEUS.uid)
    assert not [one.path for one in grafana.requests if one.path.removeprefix("/api/datasources/").isdigit()]


def test_grafana_asks_the_data_source(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    port.create_data_source(PROMETHEUS)
    assert port.check_data_source(PROMETHEUS.uid) == "Successfully queried the Prometheus API."
    grafana.data_sources_answer = False
    with pytest.raises(DependencyUnavailable, match="connection refused"):
        port.check_data_source(PROMETHEUS.uid)
    with pytest.raises(NotFound):
        port.check_data_source("nowhere")


def test_a_board_is_found_where_it_was_saved(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    port.create_folder(Folder("homeostat", "Homeostat"))
    assert port.find_board("homeostat-loop") is None
    assert port.save_board(BOARD, "homeostat", "first", replaces=None) == 1
    found = port.find_board("homeostat-loop")
    assert found is not None
    assert (found.uid, found.title, found.folder_uid, found.version, found.provisioned) == (
        "homeostat-loop", "Homeostat / Loop", "homeostat", 1, False,
    )  # fmt: skip
    assert grafana.board("homeostat-loop")["panels"] == []


def test_a_save_states_the_version_it_was_made_from(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    assert port.save_board(BOARD, "", "first", replaces=None) == 1
    first = port.find_board("homeostat-loop")
    assert port.save_board(BOARD, "", "second", replaces=first) == 2
    with pytest.raises(Conflict, match="changed by someone else"):
        port.save_board(BOARD, "", "third", replaces=first)
    with pytest.raises(Conflict):
        port.save_board(BOARD, "", "new", replaces=None)
    assert [save["message"] for save in grafana.boards["homeostat-loop"]] == ["first", "second"]


def test_the_newest_saves_of_a_board_come_first(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    assert port.board_history("homeostat-loop") is None
    port.save_board(BOARD, "", "first", replaces=None)
    grafana.edit_by_hand("homeostat-loop", title="Mine")
    port.save_board(BOARD, "", "third", replaces=port.find_board("homeostat-loop"))
    history = port.board_history("homeostat-loop")
    assert history is not None
    assert [(save.version, save.message, save.by) for save in history] == [
        (3, "third", "sa-1-homeostat"),
        (2, "", "anna"),
    ]


def test_a_board_from_a_file_is_reported_and_refused(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    grafana.add_board(dict(BOARD), provisioned=True)
    found = port.find_board("homeostat-loop")
    assert found is not None
    assert found.provisioned
    with pytest.raises(CallerError, match="Cannot save provisioned dashboard"):
        port.save_board(BOARD, "", "mine", replaces=found)


def test_what_grafana_refuses_comes_with_its_words(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    with pytest.raises(CallerError, match="title cannot be empty"):
        port.save_board(BOARD | {"title": ""}, "", "m", replaces=None)


@pytest.mark.parametrize(
    ("role", "permission"),
    [("Viewer", "dashboards:create and dashboards:write"), ("Viewer", "annotations:create"), ("Editor", "datasources:create")],
)  # fmt: skip
def test_a_missing_permission_is_named(
    grafana: FakeGrafana, port: GrafanaInterface, role: str, permission: str
) -> None:
    grafana.role = role  # type: ignore[assignment]
    calls: dict[str, Callable[[], object]] = {
        "dashboards:create and dashboards:write": lambda: port.save_board(BOARD, "", "m", replaces=None),
        "annotations:create": lambda: port.add_annotation(DRIFT),
        "datasources:create": lambda: port.create_data_source(PROMETHEUS),
    }
    with pytest.raises(GrafanaForbidden) as error:
        calls[permission]()
    assert permission in error.value.hint
    assert "HOMEOSTAT_GRAFANA_TOKEN" in error.value.message


def test_annotation_has_text_tags_and_time_in_milliseconds(
    grafana: FakeGrafana, port: GrafanaInterface
) -> None:
    port.add_annotation(DRIFT)
    kept = grafana.annotations[0]
    assert (kept["text"], kept["tags"]) == (DRIFT.text, ["homeostat", "drift", "model:flights"])
    assert (kept["time"], kept["dashboardUID"]) == (1795230245678, "")


def test_annotation_time_is_independent_of_time_zone(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    tokyo = AT.astimezone(timezone(timedelta(hours=9)))
    for at in (AT, tokyo, AT.replace(tzinfo=None)):
        port.add_annotation(Annotation("x", ("homeostat",), at))
    assert {one["time"] for one in grafana.annotations} == {1795230245678}


def test_an_annotation_can_belong_to_one_board(grafana: FakeGrafana, port: GrafanaInterface) -> None:
    port.save_board(BOARD, "", "first", replaces=None)
    port.add_annotation(Annotation("release", ("homeostat",), AT, board_uid="homeostat-loop"))
    assert grafana.annotations[0]["dashboardUID"] == "homeostat-loop"
    with pytest.raises(NotFound):
        port.add_annotation(Annotation("release", ("homeostat",), AT, board_uid="nowhere"))


def test_an_annotation_is_known_again(port: GrafanaInterface) -> None:
    assert not port.has_annotation(DRIFT)
    port.add_annotation(DRIFT)
    assert port.has_annotation(DRIFT)
    later = DRIFT.at + timedelta(milliseconds=1)
    assert not port.has_annotation(Annotation(DRIFT.text, DRIFT.tags, later))
    assert not port.has_annotation(Annotation("another text", DRIFT.tags, DRIFT.at))
    assert not port.has_annotation(Annotation(DRIFT.text, (*DRIFT.tags, "more"), DRIFT.at))
