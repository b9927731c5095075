"""`homeostat erase`: remove the rows of a subject from the stores of the installation that can be changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_settings import settings_with
from cli.home import find_home
from cli.options import Actor, Json, StackHome
from cli.output import command_output
from shared.errors import CallerError, Conflict, NotFound

if TYPE_CHECKING:
    from cli.erasure.erasure import Erased
    from cli.erasure.interrupted import InterruptedErasures

_LOCK = "erasure.lock"


def erase(
    subject: Annotated[
        str,
        typer.Option(
            help="`key` of its requests, or its value in a personal feature; - reads it from stdin."
        ),
    ],
    model: Annotated[str, typer.Option(help="Only rows of this model. Default: of every model.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed.")] = False,
    kafka_days: Annotated[
        float, typer.Option(min=0, help="Retention of the Kafka topics (`retention.ms`), in days.")
    ] = 7.0,
    actor: Actor = "",
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Remove a subject, such as a customer, from lake, dead letters, files of runs, reports and spool.

    A row belongs to the subject if its `key`, or a feature that any version of the model marks as personal, is the given value
    or a pseudonym of it, under any secret in keys/pseudonyms.key. Reference data of versions and records in Kafka cannot be
    removed; they are listed.
    Sinks and servers may keep running; a second run removes what they store meanwhile. After an interruption, run it again.
    """
    from cli.erasure.erasure import Erasure
    from cli.erasure.erasure_log import append, unfinished
    from cli.erasure.interrupted import InterruptedErasures
    from shared.models.signed_versions.installation_keys import Keys
    from shared.personal_data.pseudonyms import Pseudonyms
    from shared.stores.erasure.subject import Subject
    from shared.stores.lake import Lake
    from shared.stores.model_store import open_model_store
    from shared.stores.reports.report_store import open_report_store

    with command_output(as_json) as output:
        value = sys.stdin.readline().rstrip("\n") if subject == "-" else subject
        if not value:
            raise CallerError("the subject is empty", hint="homeostat erase --subject KEY")
        settings = settings_with(find_home(home, note=output.note, may_be_stopped=True))
        keys = Keys(settings.home / "keys")
        names = Pseudonyms.read(keys.pseudonyms).all_of(value) if keys.pseudonyms.exists() else ()
        lake, store = Lake(settings.lake_url), open_model_store(settings.model_store_url, keys)
        known = sorted({*lake.models(), *store.models()})
        if model and model not in known:
            raise NotFound(f"there is no model {model}", hint=f"known models: {', '.join(known) or 'none'}")
        models = [model] if model else known
        lock = _locked(settings.home / _LOCK, dry_run=dry_run)
        try:
            erasure = Erasure(
                Subject(tuple(dict.fromkeys((value, *names)))),
                lake,
                store,
                open_report_store(settings.reports_url, create=not dry_run),
                settings.home,
                models,
                is_limited=bool(model),
            )
            interrupted = InterruptedErasures(settings.home, value)
            if dry_run:
                done = erasure.run(dry_run=True)
                _add_earlier(done, interrupted, models)
            else:
                identity, again = uuid4().hex[:12], unfinished(settings.home)
                who = {"actor": actor or os.environ.get("USER", ""), "models": models}
                append(settings.home, identity, "started", who)

                def on_found(found: Erased) -> None:
                    _add_earlier(found, interrupted, models)
                    versions = {"references": found.references, "trained": found.trained}
                    interrupted.begin(models, **versions)
                    append(settings.home, identity, "found", versions)

                done = erasure.run(dry_run=False, again=again, on_found=on_found)
                append(settings.home, identity, "finished", who | _document(done, kafka_days))
                interrupted.finish(models)
        finally:
            if lock is not None:
                os.close(lock)
        document = {"dry_run": dry_run, **_document(done, kafka_days)}
        output.result(document, _nothing(done) if done.is_empty else _table(document))
        for note in _notes(done, document):
            output.note(note)


def _locked(path: Path, *, dry_run: bool) -> int | None:
    """The descriptor that holds the lock of erasures; None for a dry run, which creates no file. Raises Conflict."""
    from shared.file_lock import is_locked, try_lock

    lock = None if dry_run else try_lock(path)
    if lock is None and (not dry_run or (path.exists() and is_locked(path))):
        raise Conflict("another erasure is running", hint="run this again when it has ended")
    return lock


def _add_earlier(found: Erased, interrupted: InterruptedErasures, models: Sequence[str]) -> None:
    """Add the versions that earlier, interrupted erasures of the same subject had found."""
    found.references = sorted({*found.references, *interrupted.references(models)})
    found.trained = sorted({*found.trained, *interrupted.trained(models)})


def _document(done: Erased, kafka_days: float) -> dict[str, Any]:
    until = done.kafka_until(timedelta(days=kafka_days))
    return {
        "rows": {
            name: {"predictions": found.predictions, "outcomes": found.outcomes}
            for name, found in done.models.items()
        },
        "files": [{"path": str(file.path), "rows": file.rows} for file in done.files],
        "reports": done.reports,
        "spool_rows": done.spool_rows,
        "spool_rows_in_use": done.spool_rows_in_use,
        "dead_letters": done.dead_letters,
        "snapshots": done.snapshots,
        "kafka_until": until.isoformat() if until else None,
        "references": done.references,
        "trained": done.trained,
    }


def _table(document: dict[str, Any]) -> Table:
    shown = Table("store", "to remove" if document["dry_run"] else "removed", box=None)
    for name, rows in document["rows"].items():
        text = f"{rows['predictions']} predictions, {rows['outcomes']} outcomes"
        shown.add_row(f"lake, {escape(name)}", text)
    for file in document["files"]:
        shown.add_row(escape(file["path"]), f"{file['rows']} rows")
    for name in document["reports"]:
        shown.add_row(f"reports, {escape(name)}", "all; they are rendered again on request")
    for name, key in (("spool", "spool_rows"), ("dead letters", "dead_letters")):
        if document[key]:
            shown.add_row(name, str(document[key]))
    return shown


def _nothing(done: Erased) -> str:
    """Versions that hold the subject are named in a note."""
    return "no rows to remove were found" if done.references else "nothing of the subject was found"


def _notes(done: Erased, document: dict[str, Any]) -> list[str]:
    notes = []
    if document["kafka_until"]:
        notes.append(
            f"Kafka holds the records until {document['kafka_until']}, unless its retention.ms differs"
        )
    if done.spool_rows_in_use:
        notes.append(
            f"{done.spool_rows_in_use} rows are in spool segments that a server writes to; stop it, or run this again later"
        )
    if done.snapshots:
        notes.append(
            f"these runs still take a snapshot, which may hold rows of the subject: {', '.join(done.snapshots)}; "
            "stop retraining and delete their folders in runs and evaluations"
        )
    if done.references:
        notes.append(
            f"reference data of these versions hold rows of the subject: {', '.join(done.references)}"
        )
    if done.trained:
        notes.append(f"these versions were or may have been trained on such rows: {', '.join(done.trained)}")
    return notes
