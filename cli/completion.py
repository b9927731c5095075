"""What the shell offers while one types: names of models, versions, runs, causes and parts.

Whoever presses the tab key waits, so each source is asked once, briefly, and what does not answer offers nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import typer

TIMEOUT_S = 1.0
MOST = 50
SHORT = 12


def complete_model(context: typer.Context, incomplete: str) -> list[str]:
    """Models that are served."""
    return _offer(
        lambda: [str(one["name"]) for one in _ask(context, "inference", "/status.json", "models")], incomplete
    )


def complete_process(context: typer.Context, incomplete: str) -> list[str]:
    """Parts of the running stack, from its state file."""

    def find() -> list[str]:
        from cli.command_settings import client_settings
        from local_stack.state import read_state

        state = read_state(client_settings(context.params.get("home")).home)
        return [process.name for process in state.processes] if state is not None else []

    return _offer(find, incomplete)


def complete_waiting_run(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Runs that wait for a person, with their model and state."""

    def find() -> list[tuple[str, str]]:
        runs = _ask(context, "retraining", f"/runs?limit={MOST}", "runs")
        waiting = [run for run in runs if run["state"] in ("suggested", "waiting_for_approval")]
        return [(str(run["run_id"]), f"{run['model']}, {run['state']}") for run in waiting]

    return _offer_told(find, incomplete)


def complete_cause(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Causes whose decision nobody has acknowledged yet."""

    def find() -> list[tuple[str, str]]:
        decisions = _ask(context, "retraining", f"/decisions?limit={MOST}", "decisions")
        open_ones = [
            one for one in decisions if one.get("needs_acknowledgement") and not one.get("acknowledged")
        ]
        return [
            (str(one["cause_key"]), f"{one['model']}, {one['action']} ({one['reason_code']})")
            for one in open_ones
        ]

    return _offer_told(find, incomplete)


def complete_verdict(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The newest verdicts."""

    def find() -> list[tuple[str, str]]:
        verdicts = _ask(context, "drift", f"/verdicts?limit={MOST}", "verdicts")
        return [(str(one["verdict_id"]), f"{one['model']}, {one['state']}") for one in verdicts]

    return _offer_told(find, incomplete)


def complete_name(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """What `why` takes: runs, and versions in their short form."""

    def find() -> list[tuple[str, str]]:
        runs = _ask(context, "retraining", f"/runs?limit={MOST}", "runs")
        offered = [(str(run["run_id"]), f"run of {run['model']}, {run['state']}") for run in runs]
        served = _ask(context, "inference", "/status.json", "models")
        offered += [
            (str(one["version"])[:SHORT], f"version of {one['name']}") for one in served if one["version"]
        ]
        return offered

    return _offer_told(find, incomplete)


def _ask(context: typer.Context, service: str, path: str, name: str) -> list[dict[str, Any]]:
    from cli.command_settings import client_settings
    from local_stack.addresses import addresses
    from shared.http.service_client import ServiceClient, items

    given = {f"{service}_url": context.params.get(f"{service}_url") or ""}
    where = addresses(client_settings(context.params.get("home"), **given))
    with ServiceClient(service, getattr(where, service), timeout_s=TIMEOUT_S) as door:
        return items(door.get(path), name)


def _offer(find: Callable[[], list[str]], incomplete: str) -> list[str]:
    found: list[str] = []
    # Nothing runs, a setting is wrong: a shell is no place to say so.
    with suppress(Exception):
        found = find()
    return sorted({one for one in found if one.startswith(incomplete)})


def _offer_told(find: Callable[[], list[tuple[str, str]]], incomplete: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with suppress(Exception):
        found = find()
    return [pair for pair in dict(found).items() if pair[0].startswith(incomplete)]
