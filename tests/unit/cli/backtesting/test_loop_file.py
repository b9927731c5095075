from __future__ import annotations

import pytest
import yaml

from cli.backtesting.loop_file import with_values
from shared.errors import ProjectError

TEXT = """# Parcels.
model: parcels   # spelled so

retraining:
  # Trains in seconds.
  command: [python, train.py]
  triggers:
    - {when: drift, kinds: [performance]}   # the first
    - when: schedule
      every: 36d

  # Two runs are never closer.
  cooldown: 18d
  window: {use: all}  # everything

# The gate.
gate:
  holdout: 7d
"""


def test_only_the_given_values_change() -> None:
    changed = with_values(
        TEXT, "retraining", {"triggers": [{"when": "floor"}], "cooldown": "9d", "minimum_rows": 800}
    )
    assert changed == TEXT.replace(
        """  triggers:
    - {when: drift, kinds: [performance]}   # the first
    - when: schedule
      every: 36d
""",
        """  triggers:
  - {when: floor}
""",
    ).replace("cooldown: 18d", "cooldown: 9d").replace(
        "  window: {use: all}  # everything\n", "  window: {use: all}  # everything\n  minimum_rows: 800\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "model: a\nretraining: {command: [python, train.py], cooldown: 1d}\ngate: {holdout: 1d}\n",
        "model: a\nretraining: {command: [python, train.py],\n  cooldown: 1d}\ngate: {holdout: 1d}",
        "retraining:\n    command: [python, train.py]\n    cooldown: 1d",
    ],
)
def test_other_forms_are_replaced_as_a_whole(text: str) -> None:
    before = yaml.safe_load(text)
    before["retraining"]["cooldown"] = "2d"
    before["retraining"]["budget"] = {"runs": 3, "per": "30d"}
    changes = {"cooldown": "2d", "budget": {"runs": 3, "per": "30d"}}
    assert yaml.safe_load(with_values(text, "retraining", changes)) == before


def test_a_block_that_is_missing_is_added() -> None:
    changed = with_values(TEXT, "costs", {"training": 5})
    assert changed == TEXT + "costs: {training: 5}\n"


def test_a_file_without_keys_is_refused() -> None:
    with pytest.raises(ProjectError, match="not a YAML mapping"):
        with_values("- 1\n", "costs", {"training": 5})
