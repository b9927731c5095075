"""What people import: `homeostat.export` turns a fitted model and some rows into a model project.

Nothing heavy is loaded until a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homeostat.model_export.export import export
    from homeostat.model_export.report import ExportReport, ExportWarning

__all__ = ["ExportReport", "ExportWarning", "export"]


def __getattr__(name: str) -> Any:
    if name == "export":
        from homeostat.model_export.export import export

        return export
    if name in ("ExportReport", "ExportWarning"):
        from homeostat.model_export import report

        return getattr(report, name)
    raise AttributeError(f"module 'homeostat' has no attribute {name!r}")
