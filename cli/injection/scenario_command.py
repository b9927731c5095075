"""Runs one scenario of `homeostat inject` on the local stack and prints its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer

from cli.command_settings import settings_with
from cli.injection.next_commands import show_result
from cli.output import FOUND_SOMETHING, Output, command_output
from cli.progress import bar
from local_stack.fault_injection.confirmation import InjectionLog, require_confirmation
from local_stack.fault_injection.labels import LabelSource
from local_stack.fault_injection.limits import parse_duration
from local_stack.fault_injection.local_services import find_local_services
from local_stack.fault_injection.scenario import MakeRows, Scenario, ScenarioResult, Workload
from local_stack.fault_injection.target import Target, find_target
from local_stack.settings import LocalStackSettings
from shared.models.signed_versions.installation_keys import Keys
from shared.stores.lake import Lake
from shared.stores.lake_statistics import count_predictions
from shared.stores.model_store import open_model_store

HINT = "`homeostat status` shows which processes run"


@dataclass(frozen=True)
class ScenarioOptions:
    """The options that all scenarios have, in the order of the command line."""

    model: str
    rows: int | None
    windows: int | None
    rate: float
    duration: str
    seed: int
    wait: float
    yes: bool
    home: Path | None
    as_json: bool

    def workload(self) -> Workload:
        """How much is sent. Raises `CallerError` for a wrong duration."""
        seconds = parse_duration(self.duration) if self.duration else None
        return Workload(self.rows, self.windows, self.rate, seconds, self.wait)


def run_scenario(
    options: ScenarioOptions,
    make: Callable[[Target, Callable[[str], None]], MakeRows],
    *,
    labels: LabelSource | None,
    text: str,
) -> None:
    """Send the rows of `make` to the served version, with outcomes from `labels`. `text` describes it in the progress bar.

    Exit code 1 if rows were not sent, or if rows or verdict have not arrived in time.
    """
    with command_output(options.as_json) as output:
        workload, settings = options.workload(), settings_with(options.home)
        where = find_local_services(settings)
        with (
            where.client("inference", hint=HINT) as inference,
            where.client("drift", hint=HINT) as drift,
        ):
            keys = Keys(settings.home / "keys")
            store = open_model_store(settings.model_store_url, keys)
            target = find_target(inference, store, keys, options.model, seed=options.seed)
            lake, log = Lake(settings.lake_url), InjectionLog(settings.home, target.model)
            require_confirmation(target, count_predictions(lake, target.model), log, yes=options.yes)
            scenario = Scenario(target, inference, drift, lake, lambda: datetime.now(UTC), log.add)
            make_rows = make(target, output.note)
            rows = scenario.size(workload).rows
            for warning in scenario.warnings(workload, labels):
                output.note(f"warning: {warning}")
            output.note(f"sending {rows} rows to {target.model}, generation {target.generation}")
            with bar(output, text, rows) as shown:
                result = scenario.run(
                    make_rows,
                    workload,
                    seed=options.seed,
                    labels=labels,
                    on_progress=shown.advance,
                    step=shown.step,
                )
        _show(output, settings, result, workload.wait_s)


def _show(output: Output, settings: LocalStackSettings, result: ScenarioResult, wait_s: float) -> None:
    verdict = result.verdict
    lines = [
        f"{result.model}: {result.answered} of {result.rows} rows answered, {result.outcomes} outcomes sent"
    ]
    lines += [f"failed: {reason}" for reason in result.failures]
    if result.in_lake is not None:
        lines.append(f"the lake has {result.in_lake} of them")
    if verdict is not None:
        lines.append(f"verdict {verdict['state']}: {verdict['explanation']} ({verdict['verdict_id']})")
    elif wait_s > 0:
        lines.append(f"no verdict within {wait_s:.0f} s; `homeostat doctor` may show the reason")
    cause = str(verdict["verdict_id"]) if verdict is not None else ""
    show_result(output, settings, result.document(), "\n".join(lines), cause)
    is_incomplete = wait_s > 0 and (verdict is None or (result.in_lake or 0) < result.answered)
    if is_incomplete or result.unsent:
        raise typer.Exit(FOUND_SOMETHING)
