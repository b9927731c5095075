"""What people import: `homeostat.export` turns a fitted model and some rows into a model project, `homeostat.Client` and
`homeostat.AsyncClient` ask a server for predictions and send outcomes.

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
    from homeostat.model_export.export import export
    from homeostat.model_export.report import ExportReport, ExportWarning
    from shared.errors import ExportRefused, HomeostatError, InvalidRequest

__all__ = [
    "AnswerLost",
    "AsyncClient",
    "Client",
    "ExportRefused",
    "ExportReport",
    "ExportWarning",
    "HomeostatError",
    "InvalidRequest",
    "OutcomeBufferFull",
    "OutcomesNotSent",
    "OutcomesRefused",
    "Prediction",
    "Predictions",
    "RequestRefused",
    "ServerFailed",
    "ServerUnavailable",
    "export",
]

# The module of every name that is not in the client's errors.
_MODULES = {
    "AsyncClient": "homeostat.client.async_client",
    "Client": "homeostat.client.client",
    "ExportRefused": "shared.errors",
    "ExportReport": "homeostat.model_export.report",
    "ExportWarning": "homeostat.model_export.report",
    "HomeostatError": "shared.errors",
    "InvalidRequest": "shared.errors",
    "Prediction": "homeostat.client.predictions",
    "Predictions": "homeostat.client.predictions",
    "export": "homeostat.model_export.export",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'homeostat' has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "homeostat.client.errors")), name)
