"""Shell completion of models, versions, runs, causes and processes.

The user waits for it, so each service gets one request with a short timeout; an unavailable service offers nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import typer

TIMEOUT_S = 1.0
LIMIT = 50
SHORT = 12


def complete_model(context: typer.Context, incomplete: str) -> list[str]:
    """The served models."""
    return _offer(
        lambda: [str(one["name"]) for one in _request(context, "inference", "/status.json", "models")],
        incomplete,
    )


def complete_process(context: typer.Context, incomplete: str) -> list[str]:
    """Processes of the running stack, from its state file."""

    def find() -> list[str]:
        from cli.command_settings import client_settings
        from cli.home import find_home
        from local_stack.state import read_state

        home = find_home(context.params.get("home"), note=lambda _: None, may_be_stopped=True)
        state = read_state(client_settings(home).home)
        return [process.name for process in state.processes] if state is not None else []

    return _offer(find, incomplete)


def complete_waiting_run(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Runs that wait for approval, with their model and state."""

    def find() -> list[tuple[str, str]]:
        from cli.next_step import APPROVAL

        runs = _request(context, "retraining", f"/runs?limit={LIMIT}", "runs")
        waiting = [run for run in runs if run["state"] in APPROVAL]
        return [(str(run["run_id"]), f"{run['model']}, {run['state']}") for run in waiting]

    return _offer_described(find, incomplete)


def complete_cause(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Causes whose decision is not acknowledged yet."""

    def find() -> list[tuple[str, str]]:
        decisions = _request(context, "retraining", f"/decisions?limit={LIMIT}", "decisions")
        open_ones = [
            one for one in decisions if one.get("needs_acknowledgement") and not one.get("acknowledged")
        ]
        return [
            (str(one["cause_key"]), f"{one['model']}, {one['action']} ({one['reason_code']})")
            for one in open_ones
        ]

    return _offer_described(find, incomplete)


def complete_verdict(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The newest verdicts."""

    def find() -> list[tuple[str, str]]:
        verdicts = _request(context, "drift", f"/verdicts?limit={LIMIT}", "verdicts")
        return [(str(one["verdict_id"]), f"{one['model']}, {one['state']}") for one in verdicts]

    return _offer_described(find, incomplete)


def complete_name(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Runs, and served versions in their short form."""

    def find() -> list[tuple[str, str]]:
        runs = _request(context, "retraining", f"/runs?limit={LIMIT}", "runs")
        offered = [(str(run["run_id"]), f"run of {run['model']}, {run['state']}") for run in runs]
        served = _request(context, "inference", "/status.json", "models")
        offered += [
            (str(one["version"])[:SHORT], f"version of {one['name']}") for one in served if one["version"]
        ]
        return offered

    return _offer_described(find, incomplete)


def _request(context: typer.Context, service: str, path: str, name: str) -> list[dict[str, Any]]:
    from cli.command_settings import client_settings
    from cli.home import find_home
    from local_stack.addresses import addresses
    from shared.http.service_client import items

    url = context.params.get(f"{service}_url") or ""
    home = find_home(context.params.get("home"), url, note=lambda _: None)
    where = addresses(client_settings(home, **{f"{service}_url": url}))
    with where.client(service, timeout_s=TIMEOUT_S) as client:
        return items(client.get(path), name)


def _offer(find: Callable[[], list[str]], incomplete: str) -> list[str]:
    found: list[str] = []
    # No error output in the shell, for example without a running stack.
    with suppress(Exception):
        found = find()
    return sorted({one for one in found if one.startswith(incomplete)})


def _offer_described(find: Callable[[], list[tuple[str, str]]], incomplete: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with suppress(Exception):
        found = find()
    return [pair for pair in dict(found).items() if pair[0].startswith(incomplete)]
