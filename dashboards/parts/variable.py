"""The variables at the top of every board."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from dashboards.parts.query import DATASOURCE

DATASOURCE_UID = "homeostat-prometheus"
CONSOLE = "http://localhost:8005"
ALL_MODELS = ".*"


def datasource() -> dashboard.DatasourceVariable:
    """Which Prometheus; at first the one that provisioning makes."""
    return (
        dashboard.DatasourceVariable("datasource")
        .label("Data source")
        .description("The Prometheus that scrapes Homeostat's services.")
        .type("prometheus")
        .current(model.VariableOption(selected=True, text="Prometheus", value=DATASOURCE_UID))
    )


def models() -> dashboard.QueryVariable:
    """Which models, at first all. All of them includes requests for a model that nobody knows, whose label is empty."""
    asked = "label_values(homeostat_inference_generation, model)"
    return (
        dashboard.QueryVariable("model")
        .label("Model")
        .description("Models that are served.")
        .datasource(DATASOURCE)
        .query({"qryType": 1, "query": asked, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .definition(asked)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(ALL_MODELS)
        .current(model.VariableOption(selected=True, text="All", value="$__all"))
    )


def console() -> dashboard.TextBoxVariable:
    """Where the console is, for the link to it; a browser, not Grafana, goes there."""
    return (
        dashboard.TextBoxVariable("console")
        .label("Console")
        .description("Address of Homeostat's console as your browser sees it.")
        .default_value(CONSOLE)
        .current(model.VariableOption(selected=True, text=CONSOLE, value=CONSOLE))
        .options([model.VariableOption(selected=True, text=CONSOLE, value=CONSOLE)])
    )
