"""`homeostat log spool`: what waits on the spool of this machine, and what is damaged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from cli.command_settings import settings_with
from cli.home import find_home
from cli.options import Json, StackHome
from cli.output import command_output
from shared.errors import OperatorError

if TYPE_CHECKING:
    from shared.spool.inspection import FolderState


def spool(home: StackHome = None, as_json: Json = False) -> None:
    """Show what is on the spool of this machine and not yet sent to Kafka: rows, bytes, age, dropped rows and damaged data.

    It only reads, so it can run while servers write.
    """
    from shared.spool.inspection import inspect_spool

    with command_output(as_json) as output:
        settings = settings_with(find_home(home, note=output.note, may_be_stopped=True))
        root = settings.home / "spool"
        try:
            found = inspect_spool(root)
        except OSError as error:
            raise OperatorError(
                f"the spool {root} cannot be read: {error.strerror}", hint="run this as the services' user"
            ) from error
        shown = Table("writer", "in use", "waiting rows", "bytes", "oldest", "dropped", "damaged", box=None)
        for state in found:
            shown.add_row(
                escape(state.writer),
                "yes" if state.is_in_use else "no",
                str(state.waiting.total()),
                str(state.bytes),
                "" if state.oldest is None else f"{(datetime.now(UTC) - state.oldest).total_seconds():.0f} s",
                str(state.dropped.total()),
                _damage(state) or "no",
            )
        output.result(
            {"folder": str(root), "writers": [_document(state) for state in found]},
            shown if found else "no server has written here",
        )


def _damage(state: FolderState) -> str:
    parts = (
        (state.torn_records, "torn records (never answered)"),
        (state.corrupt_bytes, "corrupt bytes"),
        (state.missing_segments, "missing segments"),
    )
    return ", ".join(f"{number} {text}" for number, text in parts if number)


def _document(state: FolderState) -> dict[str, Any]:
    def rows(counted: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
        return [
            {"kind": kind, "model": model, "rows": count} for (kind, model), count in sorted(counted.items())
        ]

    return {
        "writer": state.writer,
        "in_use": state.is_in_use,
        "segments": state.segments,
        "bytes": state.bytes,
        "waiting": rows(state.waiting),
        "oldest": state.oldest.isoformat() if state.oldest else None,
        "dropped": rows(state.dropped),
        "torn_records": state.torn_records,
        "corrupt_bytes": state.corrupt_bytes,
        "missing_segments": state.missing_segments,
    }
