"""`homeostat log dead-letters list` and `replay`: what was refused, and sending it again when the cause is removed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_group import CommandGroup
from cli.command_settings import settings_with
from cli.home import find_home
from cli.options import Json, StackHome
from cli.output import command_output
from shared.errors import CallerError, NotFound

if TYPE_CHECKING:
    from local_stack.settings import LocalStackSettings
    from shared.messaging.interfaces import Producer
    from shared.stores.dead_letters import StoredDeadLetter
    from shared.stores.lake import Lake

dead_letters = typer.Typer(
    cls=CommandGroup,
    help="List dead letters, and replay them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Reason = Annotated[str, typer.Option(help="Only those of this reason, such as schema.")]
_ACKNOWLEDGE_SECONDS = 20.0
_DETAIL = 80


@dead_letters.command("list", epilog="Example: homeostat log dead-letters list --reason schema")
def list_dead_letters(
    reason: Reason = "",
    every: Annotated[bool, typer.Option("--all", help="Also those that were replayed.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Number of dead letters, newest first.")] = 50,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """List records that could not be read, sent or stored, with the reason. They are kept unchanged in the lake."""
    from shared.stores.dead_letters import read_dead_letters
    from shared.stores.lake import Lake

    with command_output(as_json) as output:
        settings = settings_with(find_home(home, note=output.note, may_be_stopped=True))
        found = [
            letter
            for letter in read_dead_letters(Lake(settings.lake_url))
            if (every or letter.waits) and reason in ("", letter.reason)
        ]
        shown = Table("id", "refused at", "model", "reason", "rows", "detail", box=None)
        for letter in found[:limit]:
            shown.add_row(
                letter.name,
                f"{letter.refused_at:%Y-%m-%d %H:%M}",
                escape(letter.model[:_DETAIL]),
                f"{letter.reason}{_suffix(letter)}",
                "" if letter.rows is None else str(letter.rows),
                escape(letter.detail[:_DETAIL]),
            )
        if len(found) > limit:
            output.note(f"{len(found) - limit} older ones are not shown; see --limit")
        if any(letter.waits for letter in found):
            output.note("`homeostat log dead-letters replay --all` sends those again whose cause is removed")
        document = {"dead_letters": [_document(letter) for letter in found[:limit]], "count": len(found)}
        output.result(document, shown if found else "no dead letters")


@dead_letters.command("replay", epilog="Example: homeostat log dead-letters replay --all --reason schema")
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, as `list` shows them.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter that was not replayed.")] = False,
    reason: Reason = "",
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until the rows are in the lake; 0 does not wait.")
    ] = 30.0,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Send the rows of dead letters again. Rows are stored once, however often they are replayed.

    If its cause remains, a dead letter stays. Needs the keys of the installation and Kafka, as the shipper does.
    """
    from shared.stores.dead_letters import read_dead_letters
    from shared.stores.lake import Lake

    with command_output(as_json) as output:
        if bool(ids) == every:
            raise CallerError("name the ids, or give --all", hint="homeostat log dead-letters list")
        settings = settings_with(find_home(home, note=output.note))
        lake = Lake(settings.lake_url)
        found = [
            letter
            for letter in read_dead_letters(lake, values=True)
            if letter.waits and reason in ("", letter.reason)
        ]
        unknown = sorted(set(ids or ()) - {letter.name for letter in found})
        if unknown:
            raise NotFound(
                f"there is no dead letter {unknown[0]} to replay", hint="homeostat log dead-letters list"
            )
        chosen = [letter for letter in found if every or letter.name in (ids or ())]
        results = _send_all(settings, lake, chosen) if chosen else {}
        if wait > 0:
            _wait(lake, {name for name, problem in results.items() if not problem}, wait)
        after = {letter.name: letter for letter in read_dead_letters(lake)}
        shown = Table("id", "result", box=None)
        for name, problem in results.items():
            shown.add_row(name, escape(problem) or _result(after[name]))
        document = {
            "replayed": [
                {
                    "id": name,
                    "problem": problem,
                    "stored": after[name].is_replayed,
                    "refused_again": after[name].refused_again,
                }
                for name, problem in results.items()
            ]
        }
        output.result(document, shown if results else "nothing to replay")


def _send_all(settings: LocalStackSettings, lake: Lake, chosen: list[StoredDeadLetter]) -> dict[str, str]:
    """By id, why a dead letter was not sent; empty if it was."""
    from shared.messaging.producer import open_producer
    from shared.messaging.record_mac import AuthenticatingProducer, RecordMac
    from shared.messaging.security.kafka_security import kafka_security
    from shared.messaging.security.settings import KafkaSettings
    from shared.models.signed_versions.key_files import PREDICTION_LOG, record_secrets

    mac = RecordMac(record_secrets(settings.home / "keys" / PREDICTION_LOG))
    producer = AuthenticatingProducer(
        open_producer(settings.kafka, "homeostat-replay", security=kafka_security(KafkaSettings())), mac
    )
    try:
        return {letter.name: send_again(producer, lake, letter) for letter in chosen}
    finally:
        producer.close()


def send_again(producer: Producer, lake: Lake, letter: StoredDeadLetter) -> str:
    """Send a dead letter's rows that the lake lacks; why not, or nothing. Raises DependencyUnavailable.

    A dead letter whose rows the lake has is done: it is marked as replayed.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from shared.contracts.event_time import INSTANT
    from shared.contracts.topics import PREDICTIONS
    from shared.messaging.dead_letter_replay import NotReplayable, replay_of
    from shared.messaging.interfaces import RecordRefused
    from shared.stores.dead_letters import REPLAY_EPOCH, UNKNOWN_PREDICTION, mark_replayed
    from shared.stores.queries.unmatched_outcomes import known_predictions

    try:
        again = replay_of(letter.origin_topic, letter.reason, letter.value, letter.headers)
    except NotReplayable as problem:
        return str(problem)
    if again.topic is PREDICTIONS:
        rows = again.rows.num_rows
        times = pc.min_max(again.rows["event_time"]).as_py()
        stored = lake.read_predictions(again.model, times["min"], times["max"] + INSTANT, ["prediction_id"])
        again = again.without(stored["prediction_id"])
        if not again.rows.num_rows:
            mark_replayed(lake, letter, rows)
            return ""
    elif letter.reason == UNKNOWN_PREDICTION:
        ids = pa.chunked_array([again.rows["prediction_id"]])
        if not pc.any(known_predictions(lake, again.model, ids)).as_py():
            return "the lake still has none of its predictions"
    try:
        key, value, headers = again.record(letter.source, REPLAY_EPOCH)
        producer.send(again.topic.name, key, value, headers).result(_ACKNOWLEDGE_SECONDS)
    except RecordRefused as error:
        return f"Kafka refuses it: {error}"
    return ""


def _wait(lake: Lake, names: set[str], seconds: float) -> None:
    from shared.stores.dead_letters import read_dead_letters

    ends = time.monotonic() + seconds
    while names and time.monotonic() < ends:
        names = names - {letter.name for letter in read_dead_letters(lake) if not letter.waits}
        if names:
            time.sleep(0.5)


def _result(letter: StoredDeadLetter) -> str:
    if letter.refused_again:
        return f"refused again, see {letter.refused_again}"
    return "stored" if letter.is_replayed else "sent"


def _suffix(letter: StoredDeadLetter) -> str:
    if letter.refused_again:
        return f" (refused again, see {letter.refused_again})"
    return " (replayed)" if letter.is_replayed else ""


def _document(letter: StoredDeadLetter) -> dict[str, Any]:
    return {
        "id": letter.name,
        "refused_at": letter.refused_at.isoformat(),
        "model": letter.model,
        "reason": letter.reason,
        "detail": letter.detail,
        "origin": letter.origin,
        "rows": letter.rows,
        "replayed": letter.is_replayed,
        "refused_again": letter.refused_again,
    }
