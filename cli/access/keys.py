"""`homeostat keys`: create, list, rotate and revoke API keys, and the log of that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_group import CommandGroup
from cli.command_settings import settings_with
from cli.home import find_home
from cli.options import Json, StackHome
from cli.output import Output, command_output
from shared.access.api_key import ApiKey
from shared.errors import CallerError

keys = typer.Typer(
    cls=CommandGroup,
    help="Create, list, rotate and revoke API keys.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Name = Annotated[str, typer.Argument(help="Name of the key, or its id.")]
_FOREVER = "never"


@keys.command(epilog="Example: homeostat keys create shop --scope predict --scope outcomes --expires 90d")
def create(
    name: Annotated[
        str, typer.Argument(help="Name of the person or program; actions are recorded under it.")
    ],
    scope: Annotated[
        list[str],
        typer.Option(
            help="A scope (predict, outcomes, read, operate, approve, admin) or a role "
            "(client, viewer, operator, approver). Repeat it for several."
        ),
    ],
    expires: Annotated[str, typer.Option(help="Lifetime, such as 12h or 90d, or `never`.")] = _FOREVER,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=1e6,
            help="Maximum requests per second, per server process; more are refused with 429.",
        ),
    ] = None,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Create an API key and print it. It is shown once: only its digest is stored.

    Running services accept it within a second.
    """
    from shared.access.key_changes import create_key
    from shared.access.scope import parse_scopes

    with command_output(as_json) as output:
        scopes, now = parse_scopes(scope), datetime.now(UTC)
        expires_at = None if expires == _FOREVER else now + _duration(expires, "--expires")
        with _changing(output, home) as found:
            key, text = create_key(found, name, scopes, now, expires_at=expires_at, requests_per_second=rate)
        _show_new(output, key, text)


@keys.command("list", epilog="Example: homeostat keys list --all")
def list_keys(
    every: Annotated[bool, typer.Option("--all", help="Also show revoked and expired keys.")] = False,
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """List the keys: names, scopes and ids, never the keys themselves."""
    from shared.access.key_file import read_keys

    with command_output(as_json) as output:
        now = datetime.now(UTC)
        found = [key for key in read_keys(_key_file(output, home)) if every or not key.problem(now)]
        table = Table(box=None)
        for column in ("name", "id", "scopes", "created", "expires", "rate", ""):
            table.add_column(column)
        for key in found:
            table.add_row(
                escape(key.name),
                key.key_id,
                ", ".join(sorted(key.scopes)),
                f"{key.created_at:%Y-%m-%d}",
                f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else _FOREVER,
                f"{key.requests_per_second:g}/s" if key.requests_per_second else "",
                f"[red]{key.problem(now)}[/]" if key.problem(now) else "",
            )
        output.result({"keys": [_document(key) for key in found]}, table if found else "no keys")


@keys.command(epilog="Example: homeostat keys rotate shop --grace 24h")
def rotate(
    name: Name,
    grace: Annotated[
        str, typer.Option(help="How long the old key stays valid, such as 24h; 0s ends it now.")
    ] = "24h",
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Replace a key by a new one with the same name and scopes, and print it. The old key is valid until --grace is over."""
    from shared.access.key_changes import rotate_key

    with command_output(as_json) as output:
        now = datetime.now(UTC)
        ends_at = now + _duration(grace, "--grace")
        with _changing(output, home) as found:
            old, key, text = rotate_key(found, name, now, ends_at=ends_at)
        _replace_key_of_installation(output, home, old, text)
        if old.expires_at is not None and old.expires_at > now:
            until = f"{old.expires_at:%Y-%m-%d %H:%M:%S} UTC"
            output.note(
                f"the old key {old.key_id} is valid until {until}; `homeostat keys revoke {old.key_id}` ends it earlier"
            )
        _show_new(output, key, text)


@keys.command(epilog="Example: homeostat keys revoke shop")
def revoke(name: Name, home: StackHome = None, as_json: Json = False) -> None:
    """Revoke all keys with this name, or the key with this id. Running services refuse them within a second."""
    from shared.access.key_changes import revoke_keys

    with command_output(as_json) as output:
        with _changing(output, home) as found:
            ended = revoke_keys(found, name, datetime.now(UTC))
        output.result(
            {"revoked": [_document(key) for key in ended]},
            f"revoked {', '.join(f'{key.name} ({key.key_id})' for key in ended)}",
        )


@keys.command(epilog="Example: homeostat keys log")
def log(home: StackHome = None, as_json: Json = False) -> None:
    """Show which keys were created, rotated and revoked, when, and by which user of the operating system."""
    from shared.access.key_log import log_path, read_log

    with command_output(as_json) as output:
        found = read_log(log_path(_key_file(output, home)))
        columns = ("time", "user", "action", "name", "id", "scopes")
        table = Table(*columns, box=None)
        for entry in found:
            scopes = entry.get("scopes")
            shown = {**entry, "scopes": ", ".join(map(str, scopes)) if isinstance(scopes, list) else ""}
            table.add_row(*(escape(str(shown.get(name, ""))) for name in columns))
        output.result({"changes": found}, table if found else "no key has been changed yet")


def _key_file(output: Output, home: Path | None) -> Path:
    from shared.access.key_file import key_file_path

    found = find_home(home, note=output.note, may_be_stopped=True)
    return key_file_path(settings_with(found))


@contextmanager
def _changing(output: Output, home: Path | None) -> Iterator[dict[str, ApiKey]]:
    from shared.access.key_file import KeyFile

    with KeyFile(_key_file(output, home)).changing() as found:
        yield found


def _replace_key_of_installation(output: Output, home: Path | None, old: ApiKey, text: str) -> None:
    """Where the installation itself uses the old key, from a file in `keys/`, the file gets the new one."""
    from shared.access.installation_keys import key_path, read_key_text
    from shared.files import write_atomic

    path = key_path(
        settings_with(find_home(home, note=lambda _: None, may_be_stopped=True)).home.absolute(), old.name
    )
    if path.exists() and read_key_text(path).startswith(f"hs_{old.key_id}_"):
        write_atomic(path, f"{text}\n".encode(), mode=0o600)
        output.note(
            f"{path} has the new key; restart the processes that read the file when they start, such as the console"
        )


def _show_new(output: Output, key: ApiKey, text: str) -> None:
    output.note(f"key {key.name}, id {key.key_id}, scopes {', '.join(sorted(key.scopes))}; shown only now:")
    output.result({**_document(key), "key": text}, text)


def _document(key: ApiKey) -> dict[str, Any]:
    """The stored entry, without the digest."""
    return {name: value for name, value in key.to_json().items() if name != "sha256"}


def _duration(text: str, option: str) -> timedelta:
    from shared.contracts.duration import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise CallerError(f"{option} is {text[:40]!r}: {error}") from error
