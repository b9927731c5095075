"""The module with the names of all settings, by which services recognise variables that are none."""

from __future__ import annotations

from docs.reference.settings import all_settings

_TEXT = '''"""The names of all settings of all services; written by `python -m docs.generate`."""

from __future__ import annotations

from typing import Final

SETTING_NAMES: Final = frozenset(
    (
{lines}
    )
)
'''


def setting_names_module(_: str) -> str:
    """The text of shared/observability/setting_names.py."""
    names = sorted({setting.variable for setting in all_settings()})
    return _TEXT.format(lines="\n".join(f'        "{name}",' for name in names))
