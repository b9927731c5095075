"""Links at the top of every board, and from a row's panels to the board with the details."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

TAG = "homeostat"


def between_boards() -> dashboard.DashboardLink:
    """All boards with our tag, keeping time range and variables."""
    return (
        dashboard.DashboardLink("Boards")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
    )


def to_console() -> dashboard.DashboardLink:
    """The console: to approve, acknowledge and roll back."""
    return _external("Console", "${console}/", "Approve, acknowledge, roll back.", "bolt")


def to_board(uid: str, title: str) -> dashboard.DashboardLink:
    """From a panel to another board."""
    return (
        dashboard.DashboardLink(title)
        .type(DashboardLinkType.LINK)
        .url(f"/d/{uid}?${{__url_time_range}}&${{datasource:queryparam}}&${{model:queryparam}}")
    )


def _external(title: str, url: str, tooltip: str, icon: str) -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink(title)
        .type(DashboardLinkType.LINK)
        .url(url)
        .tooltip(tooltip)
        .icon(icon)
        .target_blank(True)
    )
