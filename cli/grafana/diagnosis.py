"""What `homeostat doctor` and `homeostat dashboards check` find out about Grafana.

    yield from check_grafana(settings)

is all that a caller needs (`cli/checks/grafana.py` does it). Where no Grafana is named there is one finding, in the state off.
Each question has `DEADLINE_S`; when Grafana leaves one without an answer, no other is asked, so that the whole ends soon after.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cli.checks.check_result import Finding
from cli.grafana.shipped_boards import (
    DATA_SOURCE_UID,
    SHIPPED,
    ShippedBoard,
    Standing,
    chosen_data_source,
    read_boards,
    standing,
)
from local_stack.settings import LocalStackSettings
from shared.errors import DependencyUnavailable, HomeostatError
from shared.grafana.access import access_from
from shared.grafana.interface import GrafanaPort

TIMEOUT_S, DEADLINE_S = 2.0, 4.0
OLDEST = 11
PUBLISH = "homeostat dashboards publish"
# What annotations and boards take, with the words for a person who lacks it.
NEEDED = {
    "annotations:create": "drift and retraining cannot mark anything",
    "dashboards:write": "boards cannot be published",
}


def check_grafana(settings: LocalStackSettings) -> Iterator[Finding]:
    """Every check of the Grafana that the settings name."""
    if not settings.grafana_url:
        yield Finding("grafana", "off", "none is named; HOMEOSTAT_GRAFANA_URL names one")
        return
    try:
        access = access_from(settings)
    except HomeostatError as error:
        yield Finding("grafana", "failure", error.message, error.hint)
        return
    from shared.grafana.client import GrafanaClient

    yield from examine(GrafanaClient(access, timeout_s=TIMEOUT_S, deadline_s=DEADLINE_S), access.url)


def examine(grafana: GrafanaPort, url: str) -> Iterator[Finding]:
    """1. It answers. 2. It knows our login. 3. The login may do what is done with it. 4. The data source answers Grafana.
    5. The boards are there, as shipped. After the first of 1 and 2 that fails the rest is not asked."""
    try:
        health = grafana.health()
        yield _answers(health.version, url)
        login = grafana.check_login()
    except HomeostatError as error:
        yield Finding("grafana", "failure", error.message, error.hint)
        return
    yield Finding("grafana login", "ok", f"organization {login.organization or login.organization_id}")
    for check in (_permissions, _data_source, _boards):
        try:
            yield from check(grafana)
        except DependencyUnavailable as error:
            yield Finding("grafana", "failure", error.message, error.hint)
            return
        except HomeostatError as error:
            yield Finding("grafana", "warning", error.message, error.hint)


def _answers(version: str, url: str) -> Finding:
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST:
        return Finding(
            "grafana", "warning", f"{version} at {url}; expected {OLDEST} or newer", "update Grafana"
        )
    return Finding("grafana", "ok", f"{version or 'answers'} at {url}")


def _permissions(grafana: GrafanaPort) -> Iterator[Finding]:
    may = grafana.permissions()
    if may is None:
        return
    for action, consequence in NEEDED.items():
        if action not in may:
            yield Finding(
                "grafana permissions",
                "failure",
                f"the login lacks {action}: {consequence}",
                "give its service account the role Editor",
            )


def _data_source(grafana: GrafanaPort) -> Iterator[Finding]:
    uid = DATA_SOURCE_UID
    for board in read_boards(SHIPPED):
        found = grafana.find_board(board.uid)
        if found is not None:
            uid = chosen_data_source(found.model)[0] or uid
            break
    try:
        said = grafana.check_data_source(uid)
    except DependencyUnavailable as error:
        yield Finding("grafana data source", "failure", error.message, error.hint)
    except HomeostatError as error:
        yield Finding("grafana data source", "failure", error.message, error.hint or PUBLISH)
    else:
        yield Finding("grafana data source", "ok", f"{uid}: {said or 'answers'}")


def _boards(grafana: GrafanaPort) -> Iterator[Finding]:
    boards = read_boards(SHIPPED)
    stands = {board.uid: _standing(grafana, board) for board in boards}

    def those(*kinds: Standing) -> Sequence[str]:
        return [uid for uid, stand in stands.items() if stand in kinds]

    if missing := those("missing"):
        yield Finding("grafana boards", "failure", f"missing: {', '.join(missing)}", PUBLISH)
    if older := those("older"):
        yield Finding("grafana boards", "warning", f"of another version: {', '.join(older)}", PUBLISH)
    if edited := those("edited", "moved"):
        yield Finding(
            "grafana boards",
            "warning",
            f"changed in Grafana: {', '.join(edited)}",
            f"{PUBLISH} --overwrite, if those changes may go",
        )
    good = those("same", "provisioned")
    if len(good) == len(boards):
        yield Finding("grafana boards", "ok", f"all {len(boards)} are there")


def _standing(grafana: GrafanaPort, board: ShippedBoard) -> Standing:
    found = grafana.find_board(board.uid)
    if found is None or found.provisioned:
        return standing(found, None, board)
    uid, name = chosen_data_source(found.model)
    return standing(found, grafana.board_history(board.uid), board.pointed_at(uid, name))
