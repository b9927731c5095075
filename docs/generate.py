"""Writes the tables of the documentation, and other files about settings, from the code: `python -m docs.generate`.

A page marks the place of a table with two comments, and everything between them is replaced:

    <!-- table: settings services.drift -->
    <!-- end of table -->

A function of the program is shown the same way, between `excerpt: FILE FUNCTION` and `end of excerpt`.

Run it after a change of a setting, metric, topic, route, command, contract or board. A repository test compares pages and code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from docs.reference.boards import panel_table
from docs.reference.chart_values import chart_values_table
from docs.reference.commands import command_table, exit_code_table
from docs.reference.contracts import (
    columns_table,
    error_table,
    loop_table,
    manifest_table,
    release_table,
    topic_table,
    verdict_table,
)
from docs.reference.environment import with_all_settings
from docs.reference.excerpts import with_excerpts
from docs.reference.findings import findings_table
from docs.reference.fits import models_table
from docs.reference.metrics import metric_table
from docs.reference.published_schemas import schemas_text
from docs.reference.routes import route_table
from docs.reference.setting_names import setting_names_module
from docs.reference.settings import settings_table

ROOT = Path(__file__).parent.parent
SCHEMAS = ROOT / "docs" / "contracts" / "schemas.json"
SETTING_NAMES = ROOT / "shared" / "observability" / "setting_names.py"
TABLES: dict[str, Callable[[str], str]] = {
    "settings": settings_table,
    "findings": findings_table,
    "fits": models_table,
    "metrics": metric_table,
    "routes": route_table,
    "commands": command_table,
    "exit_codes": exit_code_table,
    "topics": topic_table,
    "loop.yaml": loop_table,
    "manifest": manifest_table,
    "release": release_table,
    "verdict": verdict_table,
    "columns": columns_table,
    "errors": error_table,
    "panels": panel_table,
    "values": chart_values_table,
}
_BLOCK = re.compile(
    r"(<!-- table: (?P<name>\S+) ?(?P<subject>\S*) -->\n).*?(<!-- end of table -->)", re.DOTALL
)


def pages() -> list[Path]:
    """Every page of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def subjects(name: str) -> set[str]:
    """What the pages hold a table of this name about."""
    return {
        match["subject"]
        for page in pages()
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match["name"] == name
    }


def with_tables(text: str) -> str:
    """The page's text with every table and excerpt as the code says it now. Raises KeyError for a table nobody knows."""
    return with_excerpts(
        _BLOCK.sub(lambda match: f"{match[1]}{TABLES[match['name']](match['subject'])}{match[4]}", text)
    )


def main() -> int:
    """Rewrite the pages that lag; returns the exit code."""
    written = dict.fromkeys(pages(), with_tables) | {
        ROOT / ".env.example": with_all_settings,
        SETTING_NAMES: setting_names_module,
        SCHEMAS: schemas_text,
    }
    for file, with_news in written.items():
        before = file.read_text(encoding="utf-8")
        after = with_news(before)
        if after != before:
            file.write_text(after, encoding="utf-8")
            print(f"wrote {file.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
