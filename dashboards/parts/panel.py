"""The panel types of the boards. Each takes the same description: what it shows, what is normal, what to do if it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)

from dashboards.parts.palette import BAD, BLUE, GOOD, WARNING
from dashboards.parts.query import DATASOURCE, Form, Query

SdkPanel = timeseries.Panel | stat.Panel | statetimeline.Panel | table.Panel | bargauge.Panel
Built = TypeVar("Built", timeseries.Panel, stat.Panel, statetimeline.Panel, table.Panel, bargauge.Panel)
# A threshold and the colour from there on; the first has no threshold.
Steps = Sequence[tuple[float | None, str]]
PLAIN: Steps = ((None, BLUE),)


@dataclass(frozen=True)
class About:
    """A panel's title, unit (by Grafana's name) and description: what it `shows`, what is `normal`, a `hint` if it is not, and
    the text shown instead of data when there is none (`empty`)."""

    title: str
    unit: str
    shows: str
    normal: str
    hint: str
    empty: str

    @property
    def description(self) -> str:
        """The text behind the panel's question mark."""
        return f"{self.shows}\n\n**Normal:** {self.normal}\n\n**If not:** {self.hint}"


def rising(warning: float, bad: float) -> Steps:
    """Good below `warning`, bad from `bad` on."""
    return (None, GOOD), (warning, WARNING), (bad, BAD)


def bad_from(limit: float) -> Steps:
    """Good below `limit`, bad from there on."""
    return (None, GOOD), (limit, BAD)


def good_from(limit: float) -> Steps:
    """Bad below `limit`, good from there on."""
    return (None, BAD), (limit, GOOD)


def time_series(
    about: About,
    *queries: Query,
    steps: Steps = PLAIN,
    colors: Mapping[str, str] | None = None,
    stacked: bool = False,
    bars: bool = False,
    minimum: float | None = 0.0,
    maximum: float | None = None,
) -> timeseries.Panel:
    """Lines over time, or bars for single events; `steps` beyond the first are drawn as dashed lines."""
    panel = _described(timeseries.Panel(), about, queries, steps)
    panel = panel.legend(_legend()).tooltip(
        common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    )
    panel = panel.line_width(2).fill_opacity(60 if bars else 25 if stacked else 8)
    panel = panel.show_points(VisibilityMode.NEVER if bars else VisibilityMode.AUTO)
    panel = panel.color_scheme(
        dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME)
    ).line_interpolation(LineInterpolation.STEP_AFTER if bars else LineInterpolation.LINEAR)
    if bars:
        # One bar a minute at least: shorter windows hold less than two scrapes.
        panel = panel.draw_style(GraphDrawStyle.BARS).interval("1m")
    if stacked or bars:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if len(steps) > 1:
        panel = panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        )
    if minimum is not None:
        panel = panel.min(minimum)
    if maximum is not None:
        panel = panel.max(maximum)
    for name, color in (colors or {}).items():
        panel = panel.override_by_name(name, [_fixed(color)])
    return panel


def single_value(
    about: About, *queries: Query, steps: Steps = PLAIN, decimals: int | None = None, words: bool = False
) -> stat.Panel:
    """The current value of each series as a number; with `words` its legend is shown instead."""
    panel = _described(stat.Panel(), about, queries, steps, form="now")
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel = panel.graph_mode(BigValueGraphMode.NONE).color_mode(BigValueColorMode.VALUE)
    panel = panel.text_mode(BigValueTextMode.NAME if words else BigValueTextMode.AUTO)
    panel = panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    return panel if decimals is None else panel.decimals(decimals)


def state_timeline(
    about: About, *queries: Query, words: Mapping[int, tuple[str, str]] | None = None
) -> statetimeline.Panel:
    """One band per series whose colour changes with its value; `words` gives a word and a colour for each value."""
    panel = _described(statetimeline.Panel(), about, queries, PLAIN)
    panel = panel.show_value(VisibilityMode.ALWAYS).merge_values(True).row_height(0.8).fill_opacity(75)
    panel = panel.legend(common.VizLegendOptions().show_legend(False).calcs([]))
    panel = panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.SINGLE))
    if words is None:
        return panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
    panel = panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    return panel.mappings([_words(words)])


def bars(about: About, *queries: Query, steps: Steps = PLAIN) -> bargauge.Panel:
    """Horizontal bars of the current values, one per series."""
    panel = _described(bargauge.Panel(), about, queries, steps, form="now")
    panel = panel.orientation(VizOrientation.HORIZONTAL).display_mode(BarGaugeDisplayMode.BASIC).min(0)
    return panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))


def latest(
    about: About, query: Query, columns: Mapping[str, str], words: Mapping[int, tuple[str, str]] | None = None
) -> table.Panel:
    """A table of current series: labels as columns, in the order and under the names of `columns`."""
    panel = _described(table.Panel(), about, (query,), PLAIN, form="rows")
    shown = list(columns)
    organize = model.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {
                name: True for name in ("Time", "__name__", "instance", "job", "Value") if name not in columns
            },
            "indexByName": {name: place for place, name in enumerate(shown)},
            "renameByName": dict(columns),
        },
    )
    panel = panel.with_transformation(organize)
    return panel if words is None else panel.mappings([_words(words)])


def _described(
    panel: Built, about: About, queries: Sequence[Query], steps: Steps, form: Form = "range"
) -> Built:
    panel = panel.title(about.title).description(about.description).unit(about.unit).no_value(about.empty)
    panel = panel.datasource(DATASOURCE).thresholds(_thresholds(steps))
    for place, query in enumerate(queries):
        panel = panel.with_target(query.built(chr(ord("A") + place), form))
    return panel


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .calcs(["lastNotNull"])
    )


def _words(words: Mapping[int, tuple[str, str]]) -> model.ValueMap:
    return model.ValueMap(
        options={
            str(value): model.ValueMappingResult(text=text, color=color, index=index)
            for index, (value, (text, color)) in enumerate(words.items())
        }
    )


def _fixed(color: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})
