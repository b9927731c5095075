"""Environment variables that look like settings and are none: misspelt, or of an earlier version. Nothing else would say so.

The processes of an installation may share one file of variables, so the settings of all services are known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from shared.observability.setting_names import SETTING_NAMES

PREFIX: Final = "HOMEOSTAT_"
# Settings that are gone, and what to do instead.
REMOVED: Final = {
    "HOMEOSTAT_CONSOLE_ACTOR_HEADER": "it has no effect any more: people log in to the console (docs/security.md)",
}
# Kubernetes sets some for every service; our tests have settings of their own.
_FOREIGN: Final = re.compile(
    r"HOMEOSTAT_(TEST_\w+|(\w+_)?SERVICE_(HOST|PORT)(_\w+)?|(\w+_)?PORT_\d+_(TCP|UDP)(_\w+)?)"
)


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that is no setting, with the setting that was probably meant."""
    from difflib import get_close_matches

    found = []
    for name in sorted(environment):
        known = name.upper()  # pydantic ignores the case of names
        if not known.startswith(PREFIX) or known in SETTING_NAMES or _FOREIGN.fullmatch(known):
            continue
        if known in REMOVED:
            found.append(f"{name}: {REMOVED[known]}")
            continue
        near = get_close_matches(known, sorted(SETTING_NAMES), n=1, cutoff=0.8)
        found.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
    return found
