"""`homeostat inject`: rehearse a bad day on the local stack."""

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
    help="Rehearse a bad day on the local stack: traffic, drift, faults, slowness, outages. Rows that are injected stay in the "
    "lake, and later runs train on them: use a home you can throw away.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

OneModel = Annotated[
    str,
    typer.Option(
        "--model", help="Which model. Default: the one that is served.", autocompletion=complete_model
    ),
]
PART = "Part of the stack, as `homeostat status` names it."
Rows = Annotated[
    int | None, typer.Option(min=1, max=200_000, help="Rows to send. Default: what --windows take.")
]
Windows = Annotated[int, typer.Option(min=1, max=100, help="Windows of drift to fill.")]
Rate = Annotated[float, typer.Option(min=0.1, max=10_000, help="Rows a second.")]
For = Annotated[str, typer.Option("--for", help="For so long at most, such as 30s or 2m; 10m is the most.")]
Length = Annotated[
    str,
    typer.Option(
        "--for",
        help="Send for so long at most, such as 30s or 2m. Default: as long as the rows need, at most 10m.",
    ),
]
Yes = Annotated[
    bool,
    typer.Option(
        "--yes",
        help="Send all the same where the loop trains by itself or the lake has rows of others: these stay.",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Outcomes = Annotated[bool, typer.Option(help="Tell the rows' outcomes as well, as late as loop.yaml says.")]
Wait = Annotated[
    float, typer.Option(min=0, max=600, help="Seconds to wait for drift's verdict; 0: do not wait.")
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
    """Send healthy rows, drawn from the served version's own reference, and wait for the verdict."""

    def make(served: Served) -> Make:
        from local_stack.fault_injection.drifted_rows import drawn

        return lambda count, random: drawn(served.reference, count, random)

    with command_output(as_json) as output:
        pace = _pace(rows, windows, rate, length, wait)
        truth: Truth | None = "own" if outcomes else None
        _rehearse(output, settings_with(home), model, make, pace, seed, truth, "healthy rows", yes=yes)


@inject.command(epilog="Example: homeostat inject drift --feature distance_km --shift 2")
def drift(
    model: OneModel = "",
    feature: Annotated[
        str, typer.Option(help="Feature that drifts. Default: the number that scores depend on most.")
    ] = "",
    shift: Annotated[
        float | None,
        typer.Option(help="In standard deviations of the reference. Default: 2, where there is more room."),
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
    """Send rows of which one feature has drifted, inside its declared range: the verdict is `drift`."""

    def make(served: Served) -> Make:
        from local_stack.fault_injection.drifted_rows import choose_feature, drifted

        chosen = (
            _feature(served, feature) if feature else choose_feature(served.loop.features, served.weights)
        )
        output.note(f"{chosen.name} drifts")
        return lambda count, random: drifted(served.reference, chosen, count, random, shift)

    with command_output(as_json) as output:
        pace = _pace(rows, windows, rate, length, wait)
        truth: Truth | None = "expected" if outcomes else None
        _rehearse(output, settings_with(home), model, make, pace, seed, truth, "drifted rows", yes=yes)


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
    """Send healthy rows whose outcomes are reversed: the model no longer knows, performance drifts."""

    def make(served: Served) -> Make:
        from local_stack.fault_injection.drifted_rows import drawn
        from shared.errors import CallerError

        if served.loop.prediction.kind == "tensor":
            raise CallerError(
                f"{served.model} answers tensors, which are never judged by outcomes",
                hint="homeostat inject drift",
            )
        return lambda count, random: drawn(served.reference, count, random)

    with command_output(as_json) as output:
        pace = _pace(rows, windows, rate, length, wait)
        what = "rows with other outcomes"
        _rehearse(output, settings_with(home), model, make, pace, seed, "reversed", what, yes=yes)


@inject.command(epilog="Example: homeostat inject fault --feature weight_kg --kind missing")
def fault(
    model: OneModel = "",
    feature: Annotated[str, typer.Option(help="Feature that breaks. Default: all that can.")] = "",
    kind: Annotated[
        str,
        typer.Option(help="missing, out_of_range or frozen. Default: the clearest that can come through."),
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
    """Send rows as a broken source does: the verdict is `fault`, and no run starts.

    Inference itself refuses unknown categories, and missing values that loop.yaml does not allow; the rest comes through, for
    drift to see.
    """

    def make(served: Served) -> Make:
        from local_stack.fault_injection.drifted_rows import drawn
        from local_stack.fault_injection.faulty_rows import broken, choose_faults

        if feature:
            _feature(served, feature)
        faults = choose_faults(served.loop.features, feature, kind)
        output.note("broken: " + ", ".join(f"{name} ({how})" for name, how in faults.items()))
        return lambda count, random: broken(
            drawn(served.reference, count, random), served.loop.features, faults, random
        )

    with command_output(as_json) as output:
        pace = _pace(rows, windows, rate, length, wait)
        truth: Truth | None = "own" if outcomes else None
        _rehearse(output, settings_with(home), model, make, pace, seed, truth, "broken rows", yes=yes)


@inject.command(epilog="Example: homeostat inject slow inference --for 30s")
def slow(
    part: Annotated[str, typer.Argument(help=PART, autocompletion=complete_part)] = "inference",
    length: For = LONG,
    pause: Annotated[float, typer.Option(min=0.01, max=30, help="Seconds it stands still.")] = 0.5,
    every: Annotated[float, typer.Option(min=0.02, max=60, help="Seconds from one pause to the next.")] = 1.0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a part slow: it stands still in pulses, and runs on whatever happens to this command."""
    from cli.progress import bar
    from local_stack.fault_injection.limits import parse_length
    from local_stack.fault_injection.throttling import slow_down
    from shared.errors import CallerError

    with command_output(as_json) as output:
        seconds = parse_length(length)
        if pause >= every:
            raise CallerError(
                "--pause is not shorter than --every", hint="say for example --pause 0.5 --every 1"
            )
        with bar(output, f"{part} is slow", seconds) as shown:
            slow_down(
                settings_with(home), part, seconds, pause_s=pause, every_s=every, on_progress=shown.advance
            )
        show_next(
            output,
            {"part": part, "seconds": seconds, "pause_s": pause, "every_s": every},
            f"{part} stood still for {pause:g} s of every {every:g} s, for {seconds:g} s; it runs freely again",
            home_of(settings_with(home)),
        )


@inject.command("broker-down", epilog="Example: homeostat inject broker-down --for 20s")
def broker_down(length: For = LONG, home: Home = None, as_json: Json = False) -> None:
    """Kill the broker and keep it down for a while: serving goes on, and nothing answered is lost."""
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
    part: Annotated[str, typer.Argument(help=PART, autocompletion=complete_part)],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Kill a part as a power cut would; the supervisor starts it again."""
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


def _rehearse(
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
    from local_stack.fault_injection.confirmation import Injected, require_consent
    from local_stack.fault_injection.local_services import find_local
    from local_stack.fault_injection.scenario import Rehearsal
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
        require_consent(served, lake, injected, yes=yes)
        rehearsal = Rehearsal(served, inference, drift, lake, lambda: datetime.now(UTC), injected.add)
        make = maker(served)
        rows, _ = rehearsal.size(pace)
        output.note(f"sending {rows} rows to {served.model}, generation {served.generation}")
        with bar(output, what, rows) as shown:
            done = rehearsal.run(
                make, pace, seed=seed, truth=truth, on_progress=shown.advance, step=shown.step
            )
    verdict = done.verdict
    lines = [f"{done.model}: {done.answered} of {done.asked} rows answered, {done.told} outcomes told"]
    lines += [f"not answered: {reason}" for reason in done.failures]
    if done.in_lake is not None:
        lines.append(f"the lake has {done.in_lake} of them")
    if verdict is not None:
        lines.append(f"verdict {verdict['state']}: {verdict['explanation']} ({verdict['verdict_id']})")
    elif pace.wait_s > 0:
        lines.append(f"no verdict within {pace.wait_s:.0f} s; `homeostat doctor` looks for the reason")
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
    """The option that names this home in the commands shown, empty where it is the default; and the console's address."""
    from pathlib import Path

    from local_stack.state import read_state

    state = read_state(settings.home)
    console = state.urls.get("console", "") if state is not None else ""
    default = settings.home.absolute() == Path(".homeostat").absolute()
    return ("" if default else f" --home {settings.home}", console or "http://127.0.0.1:8005")


def show_next(
    output: Output, document: dict[str, Any], text: str, place: tuple[str, str], cause: str = ""
) -> None:
    """The result, and what to look at next."""
    option, console = place
    commands = [f"homeostat status{option}"]
    commands += [f"homeostat why {cause}{option}"] if cause else [f"homeostat doctor{option}"]
    output.result({**document, "next": [*commands, console]}, text)
    output.note("next: " + ", ".join(f"`{command}`" for command in commands) + f", {console}")
