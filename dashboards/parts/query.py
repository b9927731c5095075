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
# A range query, an instant query, or an instant query as table rows. A single value is never the last point of a range: the
# value of a service that is down would be shown for an hour as if it were current.
Form = Literal["range", "now", "rows"]


@dataclass(frozen=True)
class Query:
    """One expression of a panel and the name of its series."""

    expression: str
    legend: str = ""

    def built(self, reference: str, form: Form = "range") -> prometheus.Dataquery:
        """The SDK's builder; `reference` is A, B, C … within the panel."""
        query = (
            prometheus.Dataquery()
            .datasource(DATASOURCE)
            .expr(self.expression)
            .legend_format(self.legend)
            .editor_mode(QueryEditorMode.CODE)
            .ref_id(reference)
        )
        if form == "range":
            return query.range()
        return query.instant().format(PromQueryFormat.TABLE) if form == "rows" else query.instant()


def rate(counter: str, by: str, where: str = MODEL) -> str:
    """A counter's increase per second, summed by labels."""
    return f"sum by ({by}) (rate({counter}{{{where}}}[$__rate_interval]))"


def quantile(share: float, histogram: str, by: str = "", where: str = MODEL) -> str:
    """A quantile over the rate window."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', labels, where)})"


def events(counter: str, by: str, where: str = MODEL, window: str = "$__interval") -> str:
    """Number of rare events in each window.

    A counter series of rare events starts with its first event, which `increase` does not count. So a series that did not
    exist during the day before the window counts with its full value.
    """
    series = f"{counter}{{{where}}}"
    new = f"({series} unless present_over_time({series}[1d] offset {window}))"
    return f"sum by ({by}) ({new} or increase({series}[{window}]))"


def rare_quantile(share: float, histogram: str, by: str = "", where: str = MODEL) -> str:
    """A quantile of rare observations, over the time range of the board."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {events(f'{histogram}_bucket', labels, where, '$__range')})"
