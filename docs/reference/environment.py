"""`.env.example`: below what its author chose to put first, every other setting as a comment."""

from __future__ import annotations

import re
import textwrap

from docs.reference.settings import all_settings

MARK = "# Every other setting, from the code (python -m docs.generate):\n"
_NAMED = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]+)=", re.MULTILINE)
_SPOKEN = ("empty", "see the meaning", "none: must be set")


def with_all_settings(text: str) -> str:
    """The file's text with the settings it does not name itself after MARK."""
    chosen = text.split(MARK)[0].rstrip("\n")
    named = set(_NAMED.findall(chosen))
    lines = []
    for setting in all_settings():
        if setting.variable not in named:
            named.add(setting.variable)
            default = "" if setting.default in _SPOKEN else setting.default.strip("`")
            lines += [
                "",
                *textwrap.wrap(setting.description, 110, initial_indent="# ", subsequent_indent="# "),
            ]
            lines += [f"# {setting.variable}={default}"]
    return chosen + "\n\n" + MARK + "\n".join(lines[1:]) + "\n"
