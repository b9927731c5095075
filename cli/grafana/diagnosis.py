"""The Grafana checks of `homeostat doctor` and `homeostat dashboards check`.

Without a configured Grafana there is one result, with the state off. Each request has `DEADLINE_S`; after the first timeout no
further request is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cli.checks.check_result import CheckResult
from cli.grafana.shipped_boards import (
    DATA_SOURCE_UID,
    SHIPPED,
    BoardState,
    ShippedBoard,
    board_state,
    current_data_source,
    read_boards,
)
from local_stack.settings import LocalStackSettings
from shared.errors import DependencyUnavailable, HomeostatError
from shared.grafana.access import access_from
from shared.grafana.interface import GrafanaInterface

TIMEOUT_S, DEADLINE_S = 2.0, 4.0
OLDEST = 11
PUBLISH = "homeostat dashboards publish"
# Required permissions, and the consequence of a missing one.
NEEDED = {
    "annotations:create": "drift and retraining cannot write annotations",
    "dashboards:write": "boards cannot be published",
}


def check_grafana(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """All checks of the configured Grafana."""
    if not settings.grafana_url:
        yield CheckResult("grafana", "off", "not configured; set HOMEOSTAT_GRAFANA_URL")
        return
    try:
        access = access_from(settings)
    except HomeostatError as error:
        yield CheckResult("grafana", "failure", error.message, error.hint)
        return
    from shared.grafana.client import GrafanaClient

    yield from run_checks(GrafanaClient(access, timeout_s=TIMEOUT_S, deadline_s=DEADLINE_S), access.url)


def run_checks(grafana: GrafanaInterface, url: str) -> Iterator[CheckResult]:
    """1. Grafana responds. 2. The credentials are valid. 3. They have the required permissions. 4. The data source is reachable.
    5. The shipped boards are published. If 1 or 2 fails, the rest is skipped."""
    try:
        health = grafana.health()
        yield _version(health.version, url)
        login = grafana.check_login()
    except HomeostatError as error:
        yield CheckResult("grafana", "failure", error.message, error.hint)
        return
    yield CheckResult("grafana login", "ok", f"organization {login.organization or login.organization_id}")
    for check in (_permissions, _data_source, _boards):
        try:
            yield from check(grafana)
        except DependencyUnavailable as error:
            yield CheckResult("grafana", "failure", error.message, error.hint)
            return
        except HomeostatError as error:
            yield CheckResult("grafana", "warning", error.message, error.hint)


def _version(version: str, url: str) -> CheckResult:
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST:
        return CheckResult(
            "grafana", "warning", f"{version} at {url}; expected {OLDEST} or newer", "update Grafana"
        )
    return CheckResult("grafana", "ok", f"{version or 'available'} at {url}")


def _permissions(grafana: GrafanaInterface) -> Iterator[CheckResult]:
    may = grafana.permissions()
    if may is None:
        return
    for action, consequence in NEEDED.items():
        if action not in may:
            yield CheckResult(
                "grafana permissions",
                "failure",
                f"the credentials lack {action}: {consequence}",
                "give its service account the role Editor",
            )


def _data_source(grafana: GrafanaInterface) -> Iterator[CheckResult]:
    uid = DATA_SOURCE_UID
    for board in read_boards(SHIPPED):
        found = grafana.find_board(board.uid)
        if found is not None:
            uid = current_data_source(found.model)[0] or uid
            break
    try:
        status = grafana.check_data_source(uid)
    except DependencyUnavailable as error:
        yield CheckResult("grafana data source", "failure", error.message, error.hint)
    except HomeostatError as error:
        yield CheckResult("grafana data source", "failure", error.message, error.hint or PUBLISH)
    else:
        yield CheckResult("grafana data source", "ok", f"{uid}: {status or 'available'}")


def _boards(grafana: GrafanaInterface) -> Iterator[CheckResult]:
    boards = read_boards(SHIPPED)
    states = {board.uid: _state(grafana, board) for board in boards}

    def boards_in(*kinds: BoardState) -> Sequence[str]:
        return [uid for uid, state in states.items() if state in kinds]

    if missing := boards_in("missing"):
        yield CheckResult("grafana boards", "failure", f"missing: {', '.join(missing)}", PUBLISH)
    if older := boards_in("older"):
        yield CheckResult("grafana boards", "warning", f"outdated: {', '.join(older)}", PUBLISH)
    if edited := boards_in("edited", "moved"):
        yield CheckResult(
            "grafana boards",
            "warning",
            f"changed in Grafana: {', '.join(edited)}",
            f"{PUBLISH} --overwrite replaces those changes",
        )
    good = boards_in("same", "provisioned")
    if len(good) == len(boards):
        yield CheckResult("grafana boards", "ok", f"all {len(boards)} are published")


def _state(grafana: GrafanaInterface, board: ShippedBoard) -> BoardState:
    found = grafana.find_board(board.uid)
    if found is None or found.provisioned:
        return board_state(found, None, board)
    uid, name = current_data_source(found.model)
    return board_state(found, grafana.board_history(board.uid), board.with_data_source(uid, name))
