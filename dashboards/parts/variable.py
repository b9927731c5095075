"""The variables at the top of every board."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from dashboards.parts.query import DATASOURCE

DATASOURCE_UID = "homeostat-prometheus"
CONSOLE = "http://localhost:8005"
ALL_MODELS = ".*"


def datasource() -> dashboard.DatasourceVariable:
    """The Prometheus data source; by default the provisioned one."""
    return (
        dashboard.DatasourceVariable("datasource")
        .label("Data source")
        .description("The Prometheus that scrapes Homeostat's services.")
        .type("prometheus")
        .current(model.VariableOption(selected=True, text="Prometheus", value=DATASOURCE_UID))
    )


def models() -> dashboard.QueryVariable:
    """The models, by default all. All includes requests for an unknown model, whose label is empty."""
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
    """The console's address for links, as the browser reaches it."""
    return (
        dashboard.TextBoxVariable("console")
        .label("Console")
        .description("Address of Homeostat's console, as your browser reaches it.")
        .default_value(CONSOLE)
        .current(model.VariableOption(selected=True, text=CONSOLE, value=CONSOLE))
        .options([model.VariableOption(selected=True, text=CONSOLE, value=CONSOLE)])
    )
