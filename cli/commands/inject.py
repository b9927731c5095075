"""`homeostat inject`: traffic, drift, data faults and outages on the local stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command_settings import settings_with
from cli.completion import complete_model, complete_part
from cli.options import Home, Json
from cli.output import FOUND_SOMETHING, Output, command_output

if TYPE_CHECKING:
    from local_stack.fault_injection.labels import Truth
    from local_stack.fault_injection.scenario import Make, Pace
    from local_stack.fault_injection.target import Served
    from local_stack.settings import LocalStackSettings

inject = typer.Typer(
    help="Inject traffic, drift, data faults and outages into the local stack. Injected rows stay in the lake, and later "
    "runs train on them: use a --home that you can delete.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

OneModel = Annotated[
    str,
    typer.Option(
        "--model", help="Name of the model. Default: the one that is served.", autocompletion=complete_model
    ),
]
PROCESS = "Process of the stack, as `homeostat status` names it."
Rows = Annotated[
    int | None, typer.Option(min=1, max=200_000, help="Rows to send. Default: enough for --windows.")
]
Windows = Annotated[int, typer.Option(min=1, max=100, help="Drift windows to fill.")]
Rate = Annotated[float, typer.Option(min=0.1, max=10_000, help="Rows per second.")]
For = Annotated[str, typer.Option("--for", help="Duration, such as 30s or 2m; at most 10m.")]
Length = Annotated[
    str,
    typer.Option(
        "--for",
        help="Maximum duration, such as 30s or 2m. Default: as long as the rows need, at most 10m.",
    ),
]
Yes = Annotated[
    bool,
    typer.Option(
        "--yes",
        help="Confirm: inject even if the model retrains automatically or the lake holds other rows. Injected rows stay.",
    ),
]
Seed = Annotated[int, typer.Option(help="Random seed.")]
Outcomes = Annotated[bool, typer.Option(help="Also send the outcomes, with the delay of loop.yaml.")]
Wait = Annotated[
    float, typer.Option(min=0, max=600, help="Seconds to wait for drift's verdict; 0 does not wait.")
]
LONG = "30s"


@inject.command(epilog="Example: homeostat inject traffic --windows 2")
def traffic(
    model: OneModel = "",
    rows: Rows = None,
    windows: Windows = 1,
    rate: Rate = 200.0,
    length: Length = "",
    seed: Seed = 0,
    outcomes: Outcomes = True,
    wait: Wait = 60.0,
    yes: Yes = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Send normal rows, drawn from the served version's reference, and wait for the verdict."""

    def make(served: Served) -> Make:
        from local_stack.fault_injection.drifted_rows import drawn

        return lambda count, random: drawn(served.reference, count, random)

    with command_output(as_json) as output:
        pace = _pace(rows, windows, rate, length, wait)
        truth: Truth | None = "own" if outcomes else None
        _run_scenario(
            output, settings_with(home), model, make, pace, seed, truth, "sending normal rows", yes=yes
        )


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
    length: Length = "",
    seed: Seed = 0,
    outcomes: Outcomes = True,
    wait: Wait = 60.0,
    yes: Yes = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Send rows with one feature shifted inside its declared range: the verdict is `drift`."""

    def make(served: Served) -> Make:
        from local_stack.fault_injection.drifted_rows import choose_feature, drifted

        chosen = (
            _feature(served, feature) if feature else choose_feature(served.loop.features, served.weights)
        )
        output.note(f"shifting {chosen.name}")
        return lambda count, random: drifted(served.reference, chosen, count, random, shift)

    with command_output(as_json) as output:
        pace = _pace(rows, windows, rate, length, wait)
        truth: Truth | None = "expected" if outcomes else None
        _run_scenario(
            output, settings_with(home), model, make, pace, seed, truth, "sending shifted rows", yes=yes
        )


@inject.command("concept-drift", epilog="Example: homeostat inject concept-drift --windows 2")
def concept_drift(
    model: OneModel = "",
    rows: Rows = None,
    windows: Windows = 1,
    rate: Rate = 200.0,
    length: Length = "",
    seed: Seed = 0,
    wait: Wait = 60.0,
    yes: Yes = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Send normal rows with reversed outcomes: the model's loss rises, and performance drifts."""

    def make(served: Served) -> Make:
        from local_stack.fault_injection.drifted_rows import drawn
        from shared.errors import CallerError

        if served.loop.prediction.kind == "tensor":
            raise CallerError(
                f"{served.model} predicts tensors, which are not evaluated by outcomes",
                hint="run `homeostat inject drift`",
            )
        return lambda count, random: drawn(served.reference, count, random)

    with command_output(as_json) as output:
        pace = _pace(rows, windows, rate, length, wait)
        what = "sending rows with reversed outcomes"
        _run_scenario(output, settings_with(home), model, make, pace, seed, "reversed", what, yes=yes)


@inject.command(epilog="Example: homeostat inject fault --feature weight_kg --kind missing")
def fault(
    model: OneModel = "",
    feature: Annotated[str, typer.Option(help="Feature to break. Default: every feature that can.")] = "",
    kind: Annotated[
        str,
        typer.Option(help="missing, out_of_range or frozen. Default: the first that inference accepts."),
    ] = "",
    rows: Rows = None,
    windows: Windows = 1,
    rate: Rate = 200.0,
    length: Length = "",
    seed: Seed = 0,
    outcomes: Outcomes = True,
    wait: Wait = 60.0,
    yes: Yes = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Send rows as a broken data source would: the verdict is `data_fault`, and no run starts.

    Inference rejects unknown categories, and missing values that loop.yaml does not allow; other faults reach drift.
    """

    def make(served: Served) -> Make:
        from local_stack.fault_injection.drifted_rows import drawn
        from local_stack.fault_injection.faulty_rows import broken, choose_faults

        if feature:
            _feature(served, feature)
        faults = choose_faults(served.loop.features, feature, kind)
        output.note("breaking: " + ", ".join(f"{name} ({how})" for name, how in faults.items()))
        return lambda count, random: broken(
            drawn(served.reference, count, random), served.loop.features, faults, random
        )

    with command_output(as_json) as output:
        pace = _pace(rows, windows, rate, length, wait)
        truth: Truth | None = "own" if outcomes else None
        _run_scenario(
            output, settings_with(home), model, make, pace, seed, truth, "sending faulty rows", yes=yes
        )


@inject.command("broker-down", epilog="Example: homeostat inject broker-down --for 20s")
def broker_down(length: For = LONG, home: Home = None, as_json: Json = False) -> None:
    """Kill the broker and keep it down: serving continues, and no logged prediction is lost."""
    from cli.progress import bar
    from local_stack.fault_injection.limits import parse_length
    from local_stack.fault_injection.outages import take_down
    from local_stack.supervisor.process_specs import BROKER

    with command_output(as_json) as output:
        seconds = parse_length(length)
        settings = settings_with(home)
        with bar(output, "the broker is down", seconds) as shown:
            back = take_down(settings, BROKER, seconds, on_progress=shown.advance, step=shown.step)
        show_next(
            output,
            {"part": BROKER, "seconds": seconds, "back_after_seconds": round(back, 1)},
            f"the broker was down for {seconds:g} s and ready again {back:.1f} s later",
            home_of(settings),
        )


@inject.command(epilog="Example: homeostat inject kill sink")
def kill(
    part: Annotated[str, typer.Argument(help=PROCESS, autocompletion=complete_part)],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Kill a process (SIGKILL); the supervisor restarts it."""
    from cli.progress import bar
    from local_stack.fault_injection.outages import kill_once

    with command_output(as_json) as output:
        settings = settings_with(home)
        with bar(output, f"killing {part}") as shown:
            back = kill_once(settings, part, step=shown.step)
        show_next(
            output,
            {"part": part, "back_after_seconds": round(back, 1)},
            f"{part} was killed and ready again after {back:.1f} s",
            home_of(settings),
        )


def _pace(rows: int | None, windows: int, rate: float, length: str, wait: float) -> Pace:
    from local_stack.fault_injection.limits import parse_length
    from local_stack.fault_injection.scenario import Pace

    seconds = parse_length(length) if length else None
    return Pace(rows=rows, windows=windows, rate=rate, seconds=seconds, wait_s=wait)


def _run_scenario(
    output: Output,
    settings: LocalStackSettings,
    model: str,
    maker: Callable[[Served], Make],
    pace: Pace,
    seed: int,
    truth: Truth | None,
    what: str,
    *,
    yes: bool,
) -> None:
    from datetime import UTC, datetime

    from cli.progress import bar
    from local_stack.fault_injection.confirmation import Injected, require_confirmation
    from local_stack.fault_injection.local_services import find_local
    from local_stack.fault_injection.scenario import Scenario
    from local_stack.fault_injection.target import find_served
    from shared.http.service_client import ServiceClient
    from shared.models.keys import Keys
    from shared.stores.lake import Lake
    from shared.stores.model_store import open_model_store

    inference_url, drift_url = find_local(settings)
    with (
        ServiceClient("inference", inference_url, hint="homeostat status") as inference,
        ServiceClient("drift", drift_url, hint="homeostat status") as drift,
    ):
        keys, store = Keys(settings.home / "keys"), open_model_store(settings.model_store_url)
        served = find_served(inference, store, keys, model, seed=seed)
        lake, injected = Lake(settings.lake_url), Injected(settings.home, served.model)
        require_confirmation(served, lake, injected, yes=yes)
        scenario = Scenario(served, inference, drift, lake, lambda: datetime.now(UTC), injected.add)
        make = maker(served)
        rows, _ = scenario.size(pace)
        output.note(f"sending {rows} rows to {served.model}, generation {served.generation}")
        with bar(output, what, rows) as shown:
            done = scenario.run(
                make, pace, seed=seed, truth=truth, on_progress=shown.advance, step=shown.step
            )
    verdict = done.verdict
    lines = [f"{done.model}: {done.answered} of {done.asked} rows answered, {done.told} outcomes sent"]
    lines += [f"failed: {reason}" for reason in done.failures]
    if done.in_lake is not None:
        lines.append(f"the lake has {done.in_lake} of them")
    if verdict is not None:
        lines.append(f"verdict {verdict['state']}: {verdict['explanation']} ({verdict['verdict_id']})")
    elif pace.wait_s > 0:
        lines.append(f"no verdict within {pace.wait_s:.0f} s; `homeostat doctor` may show the reason")
    cause = str(verdict["verdict_id"]) if verdict is not None else ""
    show_next(output, done.document(), "\n".join(lines), home_of(settings), cause)
    missed = pace.wait_s > 0 and (verdict is None or (done.in_lake or 0) < done.answered)
    if missed or done.unsent:
        raise typer.Exit(FOUND_SOMETHING)


def _feature(served: Served, name: str) -> Any:
    from shared.errors import NotFound

    try:
        return served.loop.feature(name)
    except KeyError as error:
        known = ", ".join(feature.name for feature in served.loop.features)
        raise NotFound(f"{served.model} has no feature {name}", hint=f"name one of {known}") from error


def home_of(settings: LocalStackSettings) -> tuple[str, str]:
    """The --home option for the commands shown (empty for the default home), and the console's address."""
    from pathlib import Path

    from local_stack.state import read_state

    state = read_state(settings.home)
    console = state.urls.get("console", "") if state is not None else ""
    default = settings.home.absolute() == Path(".homeostat").absolute()
    return ("" if default else f" --home {settings.home}", console or "http://127.0.0.1:8005")


def show_next(
    output: Output, document: dict[str, Any], text: str, place: tuple[str, str], cause: str = ""
) -> None:
    """Print the result and the next commands."""
    option, console = place
    commands = [f"homeostat status{option}"]
    commands += [f"homeostat why {cause}{option}"] if cause else [f"homeostat doctor{option}"]
    output.result({**document, "next": [*commands, console]}, text)
    output.note("next: " + ", ".join(f"`{command}`" for command in commands) + f", {console}")
