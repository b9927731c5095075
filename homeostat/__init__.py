"""What people import: `homeostat.export` turns a fitted model and some rows into a model project, `homeostat.Client` and
`homeostat.AsyncClient` ask a server for predictions and send outcomes, `homeostat.read_log` reads logged rows.

Nothing heavy is loaded until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homeostat.client.async_client import AsyncClient
    from homeostat.client.client import Client
    from homeostat.client.errors import (
        AnswerLost,
        OutcomeBufferFull,
        OutcomesNotSent,
        OutcomesRefused,
        RequestRefused,
        ServerFailed,
        ServerUnavailable,
    )
    from homeostat.client.predictions import Prediction, Predictions
    from homeostat.logged_rows import read_log
    from homeostat.model_export.export import export
    from homeostat.model_export.report import ExportReport, ExportWarning
    from shared.errors import CallerError, ExportRefused, HomeostatError, InvalidRequest, NotFound

__all__ = [
    "AnswerLost",
    "AsyncClient",
    "CallerError",
    "Client",
    "ExportRefused",
    "ExportReport",
    "ExportWarning",
    "HomeostatError",
    "InvalidRequest",
    "NotFound",
    "OutcomeBufferFull",
    "OutcomesNotSent",
    "OutcomesRefused",
    "Prediction",
    "Predictions",
    "RequestRefused",
    "ServerFailed",
    "ServerUnavailable",
    "export",
    "read_log",
]

# The module of every name that is not in the client's errors.
_MODULES = {
    "AsyncClient": "homeostat.client.async_client",
    "CallerError": "shared.errors",
    "Client": "homeostat.client.client",
    "ExportRefused": "shared.errors",
    "ExportReport": "homeostat.model_export.report",
    "ExportWarning": "homeostat.model_export.report",
    "HomeostatError": "shared.errors",
    "InvalidRequest": "shared.errors",
    "NotFound": "shared.errors",
    "Prediction": "homeostat.client.predictions",
    "Predictions": "homeostat.client.predictions",
    "export": "homeostat.model_export.export",
    "read_log": "homeostat.logged_rows",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'homeostat' has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "homeostat.client.errors")), name)
