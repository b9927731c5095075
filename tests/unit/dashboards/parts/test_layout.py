"""Rows on the grid."""

from __future__ import annotations

import pytest

from dashboards.parts.layout import Row, board, panel_id
from dashboards.parts.panel import About, SdkPanel, single_value, time_series
from dashboards.parts.query import Query


def about(title: str) -> About:
    return About(title, "short", shows="M.", normal="n.", hint="r.", empty="Nothing: do this.")


def figure(title: str) -> SdkPanel:
    return single_value(about(title), Query("up", "up"))


def test_panels_stand_side_by_side_below_their_heading() -> None:
    made = board(
        "uid",
        "Title",
        "What it is for.",
        [
            Row("First", 5, [(8, figure("A")), (16, figure("B"))]),
            Row("Second", 7, [(24, figure("C"))]),
        ],
    ).build()
    places = [
        (panel.title, panel.grid_pos.x, panel.grid_pos.y, panel.grid_pos.w, panel.grid_pos.h)
        for panel in made.panels or []
        if panel.grid_pos is not None
    ]
    assert places == [
        ("First", 0, 0, 24, 1),
        ("A", 0, 1, 8, 5),
        ("B", 8, 1, 16, 5),
        ("Second", 0, 6, 24, 1),
        ("C", 0, 7, 24, 7),
    ]


@pytest.mark.parametrize("width", [23, 25])
def test_a_row_is_as_wide_as_the_grid(width: int) -> None:
    with pytest.raises(ValueError, match=rf"row 'Odd' of uid is {width} columns wide, not 24"):
        board("uid", "Title", "What it is for.", [Row("Odd", 5, [(width, figure("A"))])])


def test_the_number_of_a_panel_depends_on_its_title_alone() -> None:
    alone = board("uid", "T", "D.", [Row("R", 5, [(24, figure("B"))])]).build()
    moved = board(
        "uid", "T", "D.", [Row("Q", 5, [(24, figure("A"))]), Row("R", 5, [(24, figure("B"))])]
    ).build()
    numbers = [{panel.title: panel.id_val for panel in made.panels or []} for made in (alone, moved)]
    assert numbers[0]["B"] == numbers[1]["B"] == panel_id("B")


def test_panel_description_has_four_parts() -> None:
    panel = time_series(about("A"), Query("up", "up")).build()
    assert panel.description == "M.\n\n**Normal:** n.\n\n**If not:** r."
    assert panel.field_config is not None
    assert panel.field_config.defaults is not None
    assert panel.field_config.defaults.no_value == "Nothing: do this."
    assert panel.field_config.defaults.unit == "short"
