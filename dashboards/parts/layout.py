"""How a board is laid out: rows with a heading, panels side by side on Grafana's grid of 24 columns."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from dashboards.parts import link, variable
from dashboards.parts.annotation import all_annotations
from dashboards.parts.panel import SdkPanel

COLUMNS = 24
VERSION = 1  # of the boards' form; Grafana counts its own changes from here


@dataclass(frozen=True)
class Row:
    """A heading and its panels, each with its width in columns; `height` in units of 30 pixels. `more` is the uid and the title
    of the board with the details."""

    title: str
    height: int
    panels: Sequence[tuple[int, SdkPanel]]
    more: tuple[str, str] | None = None


def board(uid: str, title: str, description: str, rows: Sequence[Row]) -> dashboard.Dashboard:
    """The board, with what all boards have. Raises ValueError where a row is not exactly as wide as the grid."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([link.TAG])
        .version(VERSION)
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .editable()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .variables([variable.datasource(), variable.models(), variable.console()])
        .annotations(all_annotations())
        .links([link.between_boards(), link.to_console()])
    )
    y = 0
    for row in rows:
        heading = dashboard.Row(row.title).id(panel_id(f"row {row.title}")).collapsed(False)
        made = made.with_row(heading.grid_pos(model.GridPos(h=1, w=COLUMNS, x=0, y=y)))
        y += 1
        x = 0
        for width, panel in row.panels:
            place = model.GridPos(h=row.height, w=width, x=x, y=y)
            made = made.with_panel(_placed(panel, place, row.more))
            x += width
        if x != COLUMNS:
            raise ValueError(f"row {row.title!r} of {uid} is {x} columns wide, not {COLUMNS}")
        y += row.height
    return made


def panel_id(title: str) -> int:
    """A panel's number comes from its title: links to it survive when others are added or moved."""
    return zlib.crc32(title.encode()) % 1_000_000 + 1


def _placed(panel: SdkPanel, place: model.GridPos, more: tuple[str, str] | None) -> SdkPanel:
    panel.id(panel_id(str(panel.build().title))).grid_pos(place)
    if more is not None:
        panel.links([link.to_board(*more)])
    return panel
