"""`homeostat reproduce`: the training rows of a version made again, and the version trained again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.command_settings import settings_with
from cli.home import find_home
from cli.options import Json, StackHome
from cli.output import FOUND_SOMETHING, command_output, short_version

MODULE = "services.retraining.reproduction"


def reproduce(
    version: Annotated[str, typer.Argument(help="A version; at least its first 8 characters.")],
    train: Annotated[
        bool, typer.Option("--train", help="Train on these rows again, and compare the models.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder that receives train.parquet.")
    ] = None,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Make the training rows of a live or archived version again from the lake, and compare their digest.

    This also works after the lake's tables were compacted and old files deleted. Rows that were erased since then are missing:
    the exit code is 1 if the digests differ. With --train, the command of the project's folder as it is now trains on these rows.
    """
    from cli.drift.replay_process import run_replay
    from cli.progress import bar

    with command_output(as_json) as output:
        settings = settings_with(find_home(home, note=output.note, may_be_stopped=True))
        request = {"version": version, "train": train, "into": str(into.absolute()) if into else None}
        with bar(output, f"reproducing {short_version(version)}") as shown:
            found = run_replay(
                request,
                {"HOMEOSTAT_HOME": str(settings.home.absolute())},
                lambda progress: shown.step(str(progress["step"])),
                command=(sys.executable, "-m", MODULE),
                doing="reproduction",
                extra="retraining",
            )
        output.result(found, text_of(found))
        if not found["equal"]:
            raise typer.Exit(FOUND_SOMETHING)


def text_of(found: dict[str, Any]) -> str:
    """The result in sentences."""
    rows = f"{found['train_rows']} training rows" + (
        f" and {found['holdout_rows']} holdout rows" if found["holdout_rows"] else ""
    )
    same = "are the same, byte by byte" if found["equal"] else "differ"
    lines = [
        f"{found['model']} {short_version(found['version'])}: {rows} {same} (digest {found['digest'][:12]})"
    ]
    if not found["equal"]:
        lines.append(
            f"the version was trained on rows with digest {found['expected_digest'][:12]}: rows were erased since then, or the "
            "training file had columns that are not stored"
        )
    if trained := found.get("trained"):
        equal = "is the same, byte by byte" if trained["model_equal"] else "is another file"
        lines.append(
            f"the model trained again {equal}; its answers to the reference rows differ by at most "
            f"{trained['largest_difference']:.3g}"
        )
        for name, one in trained["metrics"].items():
            lines.append(f"  {name}: {one['then']} then, {one['now']} now")
    return "\n".join(lines)
