"""`homeostat inject bad-challenger`: a version that is good offline and bad live, taken back by the loop."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from cli.command_settings import settings_with
from cli.injection.next_commands import show_result
from cli.injection.row_makers import find_feature
from cli.injection.scenario_command import HINT, ScenarioOptions
from cli.output import FOUND_SOMETHING, command_output
from cli.progress import bar
from local_stack.fault_injection.bad_challenger.leaked_rows import (
    LIVE_FAULTS,
    MINIMUM_VALUES,
    can_leak,
    choose_leak,
)
from local_stack.fault_injection.bad_challenger.rehearsal import Rehearsal, RehearsalResult
from local_stack.fault_injection.confirmation import InjectionLog, require_confirmation
from local_stack.fault_injection.local_services import find_local_services
from local_stack.fault_injection.scenario import Scenario
from local_stack.fault_injection.target import Target, find_target
from shared.contracts.feature import Feature
from shared.errors import CallerError
from shared.models.signed_versions.installation_keys import Keys
from shared.stores.lake import Lake
from shared.stores.lake_statistics import count_predictions
from shared.stores.model_store import open_model_store


def run_bad_challenger(options: ScenarioOptions, feature: str, kind: str) -> None:
    """Rehearse, and print what became of the challenger. Exit code 1 unless it was taken back, or kept without a fault."""
    fault = next((one for one in LIVE_FAULTS if one == kind), None)
    with command_output(options.as_json) as output:
        if fault is None:
            raise CallerError(f"there is no kind {kind}", hint=f"known kinds: {', '.join(LIVE_FAULTS)}")
        settings = settings_with(options.home)
        where = find_local_services(settings)
        with (
            where.client("inference", hint=HINT) as inference,
            where.client("drift", hint=HINT) as drift,
            where.client("retraining", hint=HINT) as retraining,
        ):
            keys = Keys(settings.home / "keys")
            store = open_model_store(settings.model_store_url, keys)
            target = find_target(inference, store, keys, options.model, seed=options.seed)
            lake, log = Lake(settings.lake_url), InjectionLog(settings.home, target.model)
            require_confirmation(target, count_predictions(lake, target.model), log, yes=options.yes)
            chosen = _feature(target, feature)
            output.note(f"{chosen.name} will know the outcome until a run has learned it, then: {fault}")
            scenario = Scenario(target, inference, drift, lake, lambda: datetime.now(UTC), log.add)
            with bar(output, "a bad challenger") as shown:
                rehearsal = Rehearsal(scenario, retraining, where.actor(""), shown.step)
                done = rehearsal.run(chosen, fault, rate=options.rate, seed=options.seed, wait_s=options.wait)
        show_result(output, settings, done.document(), _text(done))
    if not done.as_expected:
        raise typer.Exit(FOUND_SOMETHING)


def _feature(target: Target, name: str) -> Feature:
    if not name:
        return choose_leak(target.loop.features, target.reference, target.weights)
    found = find_feature(target, name)
    if not can_leak(found, target.reference):
        raise CallerError(
            f"{name} is not a number with at least {MINIMUM_VALUES} different values in the reference",
            hint="choose another one, or leave --feature out",
        )
    return found


def _text(done: RehearsalResult) -> str:
    lines = [f"run {done.run_id} made version {done.challenger[:12]}, which passed the gate"]
    lines += [f"as {stage['slot']}: {stage['rows']} rows answered" for stage in done.stages]
    lines.append(f"{done.outcome.replace('_', ' ')}: {done.reason}")
    who = "the version before it" if done.answers == done.former else "not the version before it"
    lines.append(f"{done.answers[:12]} answers now, {who}")
    return "\n".join(lines)
