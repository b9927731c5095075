"""Boards: the panels of the committed JSON, row by row, with what each means."""

from __future__ import annotations

import json
from typing import Any

from docs.reference.markdown import table
from docs.reference.sources import ROOT

BOARDS = ROOT / "dashboards" / "grafana" / "boards"


def panel_table(name: str) -> str:
    """The panels of one board. The meaning is the first paragraph of the panel's description."""
    board: dict[str, Any] = json.loads((BOARDS / f"{name}.json").read_text(encoding="utf-8"))
    rows = []
    heading = ""
    for panel in board["panels"]:
        if panel["type"] == "row":
            heading = panel["title"]
        else:
            rows.append((heading, panel["title"], panel["description"].partition("\n\n")[0]))
            heading = ""
    return table(("row", "panel", "what it shows"), rows)
