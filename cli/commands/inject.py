"""`homeostat inject`: traffic, drift, data faults and outages on the local stack."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.command_group import CommandGroup
from cli.command_settings import settings_with
from cli.completion import complete_process
from cli.injection.options import (
    Duration,
    MaxDuration,
    OneModel,
    Outcomes,
    Rate,
    Rows,
    Seed,
    Wait,
    Windows,
    WindowsForRun,
    Yes,
)
from cli.options import Home, Json
from cli.output import command_output

inject = typer.Typer(
    cls=CommandGroup,
    help="Inject traffic, drift, data faults and outages into the local stack. Injected rows stay in the lake, and later "
    "runs train on them: use a --home that you can delete.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

PROCESS = "Name of the process, as listed by `homeostat status`."
DEFAULT_DURATION = "30s"


@inject.command(epilog="Example: homeostat inject traffic --windows 2")
def traffic(
    model: OneModel = "",
    rows: Rows = None,
    windows: Windows = 1,
    rate: Rate = 200.0,
    duration: MaxDuration = "",
    seed: Seed = 0,
    outcomes: Outcomes = True,
    wait: Wait = 60.0,
    yes: Yes = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Send normal rows, sampled from the served version's reference, and wait for the verdict."""
    from cli.injection.row_makers import normal
    from cli.injection.scenario_command import ScenarioOptions, run_scenario

    options = ScenarioOptions(model, rows, windows, rate, duration, seed, wait, yes, home, as_json)
    run_scenario(options, normal, labels="own" if outcomes else None, text="sending normal rows")


@inject.command(epilog="Example: homeostat inject drift --feature distance_km --shift 2")
def drift(
    model: OneModel = "",
    feature: Annotated[
        str, typer.Option(help="Feature to shift. Default: the numeric feature that scores depend on most.")
    ] = "",
    shift: Annotated[
        float | None,
        typer.Option(help="Shift in standard deviations of the reference. Default: 2, up or down."),
    ] = None,
    rows: Rows = None,
    windows: Windows = 1,
    rate: Rate = 200.0,
    duration: MaxDuration = "",
    seed: Seed = 0,
    outcomes: Outcomes = True,
    wait: Wait = 60.0,
    yes: Yes = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Send rows with one feature shifted inside its declared range: the verdict is `drift`."""
    from cli.injection.row_makers import drifted
    from cli.injection.scenario_command import ScenarioOptions, run_scenario

    options = ScenarioOptions(model, rows, windows, rate, duration, seed, wait, yes, home, as_json)
    run_scenario(
        options,
        lambda target, note: drifted(target, note, feature, shift),
        labels="expected" if outcomes else None,
        text="sending drifted rows",
    )


@inject.command("concept-drift", epilog="Example: homeostat inject concept-drift --windows 2")
def concept_drift(
    model: OneModel = "",
    rows: Rows = None,
    windows: WindowsForRun = None,
    rate: Rate = 200.0,
    duration: MaxDuration = "",
    seed: Seed = 0,
    wait: Wait = 60.0,
    yes: Yes = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Send normal rows with reversed outcomes: the loss rises, and the verdict is performance drift.

    By default enough windows are sent for one retraining run: the first are its training rows, the last are the holdout
    that the gate uses.
    """
    from cli.injection.row_makers import normal_with_outcomes
    from cli.injection.scenario_command import ScenarioOptions, run_scenario

    options = ScenarioOptions(model, rows, windows, rate, duration, seed, wait, yes, home, as_json)
    run_scenario(options, normal_with_outcomes, labels="reversed", text="sending rows with reversed outcomes")


@inject.command(epilog="Example: homeostat inject fault --feature weight_kg --kind missing")
def fault(
    model: OneModel = "",
    feature: Annotated[
        str,
        typer.Option(help="Feature to corrupt. Default: every feature that can have this kind of fault."),
    ] = "",
    kind: Annotated[
        str,
        typer.Option(
            help="Kind of fault: missing, out_of_range or constant. Default: the first that inference accepts."
        ),
    ] = "",
    rows: Rows = None,
    windows: Windows = 1,
    rate: Rate = 200.0,
    duration: MaxDuration = "",
    seed: Seed = 0,
    outcomes: Outcomes = True,
    wait: Wait = 60.0,
    yes: Yes = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Send corrupted rows, as a defective data source would: the verdict is `data_fault`, and no run starts.

    Inference rejects unknown categories, and missing values that loop.yaml does not allow; other faults reach drift.
    """
    from cli.injection.row_makers import faulty
    from cli.injection.scenario_command import ScenarioOptions, run_scenario

    options = ScenarioOptions(model, rows, windows, rate, duration, seed, wait, yes, home, as_json)
    run_scenario(
        options,
        lambda target, note: faulty(target, note, feature, kind),
        labels="own" if outcomes else None,
        text="sending faulty rows",
    )


@inject.command("bad-challenger", epilog="Example: homeostat inject bad-challenger --kind frozen")
def bad_challenger(
    model: OneModel = "",
    feature: Annotated[
        str,
        typer.Option(
            help="Feature that knows the outcome at first. Default: the number that scores depend on least."
        ),
    ] = "",
    kind: Annotated[
        str,
        typer.Option(
            help="What the feature is live: leak (it knows the outcome no more), frozen (one value), unit (ten times as large) "
            "or none (it knows the outcome as before, and the version is kept)."
        ),
    ] = "leak",
    rate: Rate = 200.0,
    seed: Seed = 0,
    wait: Annotated[
        float, typer.Option(min=1, max=600, help="Seconds to wait for each conclusion of the loop.")
    ] = 120.0,
    yes: Yes = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Let a run learn a feature that knows the outcome, then send rows in which it does not: the loop takes the version back.

    A run is requested, and approved where it waits. Exit code 1 unless the version before it answers requests again.
    """
    from cli.injection.bad_challenger import run_bad_challenger
    from cli.injection.scenario_command import ScenarioOptions

    options = ScenarioOptions(model, None, None, rate, "", seed, wait, yes, home, as_json)
    run_bad_challenger(options, feature, kind)


@inject.command("broker-down", epilog="Example: homeostat inject broker-down --for 20s")
def broker_down(duration: Duration = DEFAULT_DURATION, home: Home = None, as_json: Json = False) -> None:
    """Kill the broker and keep it down: serving continues, and no logged prediction is lost."""
    from cli.injection.next_commands import show_result
    from cli.progress import bar
    from local_stack.fault_injection.limits import parse_duration
    from local_stack.fault_injection.outages import stop_for
    from local_stack.supervisor.process_specs import BROKER

    with command_output(as_json) as output:
        seconds = parse_duration(duration)
        settings = settings_with(home)
        with bar(output, "the broker is down", seconds) as shown:
            restarted = stop_for(settings, BROKER, seconds, on_progress=shown.advance, step=shown.step)
        document = {"process": BROKER, "seconds": seconds, "restarted_after_seconds": round(restarted, 1)}
        text = f"the broker was down for {seconds:g} s and ready again {restarted:.1f} s later"
        show_result(output, settings, document, text)


@inject.command(epilog="Example: homeostat inject kill sink")
def kill(
    process: Annotated[str, typer.Argument(help=PROCESS, autocompletion=complete_process)],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Kill a process (SIGKILL); the supervisor restarts it."""
    from cli.injection.next_commands import show_result
    from cli.progress import bar
    from local_stack.fault_injection.outages import kill_and_wait

    with command_output(as_json) as output:
        settings = settings_with(home)
        with bar(output, f"killing {process}") as shown:
            restarted = kill_and_wait(settings, process, step=shown.step)
        document = {"process": process, "restarted_after_seconds": round(restarted, 1)}
        show_result(
            output, settings, document, f"{process} was killed and ready again after {restarted:.1f} s"
        )
