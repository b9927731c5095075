"""PromQL in the few forms the boards need, each written once.

`$__rate_interval` is Grafana's window for rates: at least four scrapes long. Quantiles come from summed buckets; they are never
averaged. A counter is never shown raw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
MODEL = 'model=~"$model"'
# What a panel asks for: a course over time, the figures that hold now, or the same as rows of a table. A figure is never the last
# of a course: that of a service which is down would stand there for an hour as if it held now.
Form = Literal["course", "now", "rows"]


@dataclass(frozen=True)
class Query:
    """One expression of a panel and the name of its series."""

    expression: str
    legend: str = ""

    def built(self, reference: str, form: Form = "course") -> prometheus.Dataquery:
        """The SDK's builder; `reference` is A, B, C … within the panel."""
        query = (
            prometheus.Dataquery()
            .datasource(DATASOURCE)
            .expr(self.expression)
            .legend_format(self.legend)
            .editor_mode(QueryEditorMode.CODE)
            .ref_id(reference)
        )
        if form == "course":
            return query.range()
        return query.instant().format(PromQueryFormat.TABLE) if form == "rows" else query.instant()


def rate(counter: str, by: str, where: str = MODEL) -> str:
    """A counter's increase per second, summed by labels."""
    return f"sum by ({by}) (rate({counter}{{{where}}}[$__rate_interval]))"


def quantile(share: float, histogram: str, by: str = "", where: str = MODEL) -> str:
    """A quantile of what was observed within the rate window."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', labels, where)})"


def events(counter: str, by: str, where: str = MODEL, window: str = "$__interval") -> str:
    """How often something rare happened in each window.

    A counter of rare things is born with its first event, which `increase` cannot see. So a series that nobody has seen
    during the day before the window counts with its whole value.
    """
    series = f"{counter}{{{where}}}"
    new = f"({series} unless present_over_time({series}[1d] offset {window}))"
    return f"sum by ({by}) ({new} or increase({series}[{window}]))"


def rare_quantile(share: float, histogram: str, by: str = "", where: str = MODEL) -> str:
    """A quantile of something rare, over the whole time range of the board."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {events(f'{histogram}_bucket', labels, where, '$__range')})"
