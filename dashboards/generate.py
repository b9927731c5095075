"""Writes the boards, and the configuration for services with TLS: `python -m dashboards.generate`.

With `--check` it names the committed files that differ.

The same code gives the same bytes: keys are sorted, and nothing depends on when or where it runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.boards.drift import board as drift
from dashboards.boards.inference import board as inference
from dashboards.boards.loop import board as loop
from dashboards.boards.prediction_log import board as prediction_log
from dashboards.boards.retraining import board as retraining
from dashboards.encrypted_files import encrypted_files

FOLDER = Path(__file__).parent / "grafana" / "boards"
BOARDS: dict[str, Callable[[], dashboard.Dashboard]] = {
    "loop": loop.make,
    "inference": inference.make,
    "prediction_log": prediction_log.make,
    "drift": drift.make,
    "retraining": retraining.make,
}
HINT = "run `python -m dashboards.generate`"


def encode(board: Dashboard) -> str:
    """A board as it is committed."""
    plain = json.loads(json.dumps(board, cls=JSONEncoder))
    # The SDK puts every link and every annotation's switch into a menu; ours are to be seen.
    for shown in [*plain["links"], *plain["annotations"]["list"]]:
        shown.pop("placement", None)
    for panel in plain["panels"]:
        for link in panel.get("links", ()):
            link.pop("placement", None)
    return json.dumps(plain, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def generated() -> dict[Path, str]:
    """Every file of the folder, and those for TLS, with the text they should have."""
    boards = {FOLDER / f"{name}.json": encode(make().build()) for name, make in BOARDS.items()}
    return boards | encrypted_files()


def main(argv: Sequence[str] | None = None) -> int:
    """Write what differs and remove what no code makes; with `--check` only name it. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Write Grafana's boards from their Python code.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a file differs")
    check = parser.parse_args(argv).check
    wanted = generated()
    differing = [
        path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text
    ]
    strangers = [path for path in sorted(FOLDER.glob("*.json")) if path not in wanted]
    for path in differing + strangers:
        print(f"{'differs' if check else 'wrote' if path in wanted else 'removed'}: {path.name}")
    if check:
        if differing or strangers:
            print(f"try: {HINT}")
        return 1 if differing or strangers else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in differing:
        path.write_text(wanted[path], encoding="utf-8")
    for path in strangers:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
