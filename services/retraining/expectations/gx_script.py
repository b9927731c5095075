"""Validates rows against a suite of Great Expectations. A script of its own, run by the Python that has the library:

    python gx_script.py SUITE ROWS RESULT

SUITE is the JSON of an expectation suite, of Great Expectations 1 or earlier; ROWS is Parquet. RESULT is JSON: for each
expectation its type, its column, whether it holds, and what was observed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> int:
    """Validate, and write the result."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    suite, rows, result = (Path(one) for one in arguments)
    import great_expectations as gx
    import pandas as pd

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asked = expectations_of(json.loads(suite.read_text()))
    made = gx.ExpectationSuite(name="gate", expectations=asked)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("holdout")
    definition = asset.add_batch_definition_whole_dataframe("all")
    batch = definition.get_batch(batch_parameters={"dataframe": pd.read_parquet(rows)})
    validated = batch.validate(made)
    # The library leaves out, with a warning, what it does not know.
    found = {one.expectation_config.type for one in validated.results}
    if unknown := sorted({one["type"] for one in asked} - found):
        sys.exit(f"this Great Expectations has no {', '.join(unknown)}")
    result.write_text(json.dumps([described(one) for one in validated.results], default=str))
    return 0


def expectations_of(suite: dict[str, Any]) -> list[dict[str, Any]]:
    """The expectations of a suite, as Great Expectations 1 names their parts."""
    return [
        {
            "type": one.get("type") or one.get("expectation_type"),
            "kwargs": {name: value for name, value in one.get("kwargs", {}).items() if name != "batch_id"},
            "meta": one.get("meta") or {},
        }
        for one in suite["expectations"]
    ]


def described(one: Any) -> dict[str, Any]:
    """One result of the library."""
    expectation, found = one.expectation_config, one.result or {}
    raised = one.exception_info or {}
    messages = [str(part.get("exception_message")) for part in raised.values() if isinstance(part, dict)]
    messages += [str(raised["exception_message"])] if raised.get("exception_message") else []
    return {
        "type": expectation.type,
        "column": expectation.kwargs.get("column", ""),
        "holds": bool(one.success),
        "observed": found.get("observed_value"),
        "unexpected_percent": found.get("unexpected_percent"),
        "problem": messages[0] if messages else "",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
