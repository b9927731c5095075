"""`homeostat replay`: send history from a Parquet file to inference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command_settings import client_settings
from cli.completion import complete_model
from cli.exit_codes import INTERRUPTED, exit_code
from cli.home import find_home
from cli.options import DriftUrl, InferenceUrl, Json, StackHome
from cli.output import FOUND_SOMETHING, Output, command_output
from local_stack.addresses import Addresses, addresses
from shared.errors import CallerError, HomeostatError

if TYPE_CHECKING:
    from datetime import timedelta

    from cli.replay.history import History
    from homeostat.client.inputs import ModelInputs

OUTCOME = "outcome"
# A server that is away at the start is an error, later an outage that the replay waits for.
START_S, RETRY_S = 3.0, 60.0


def replay(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="Parquet file: event time, the model's inputs, outcome."
        ),
    ],
    delay: Annotated[
        str, typer.Option(help="Time between a row and its outcome, in event time, such as 30m, 1h or 7d.")
    ],
    model: Annotated[
        str,
        typer.Option(
            help="Name of the model. Default: the only served model.", autocompletion=complete_model
        ),
    ] = "",
    speed: Annotated[
        str,
        typer.Option(
            help="Replay speed: seconds of event time per second, such as 100, or max for as fast as possible."
        ),
    ] = "max",
    outcome_column: Annotated[
        str, typer.Option(help="Column of outcomes; no outcome is sent for a row without a value.")
    ] = OUTCOME,
    time_column: Annotated[str, typer.Option(help="Column of event times.")] = "event_time",
    batch: Annotated[
        int,
        typer.Option(
            min=1,
            max=10_000,
            help="Maximum rows in one request. Only rows with the same event time share a request.",
        ),
    ] = 100,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of rows to send, counted from the first row.")
    ] = None,
    home: StackHome = None,
    inference_url: InferenceUrl = "",
    drift_url: DriftUrl = "",
    as_json: Json = False,
) -> None:
    """Send past rows to inference in event-time order, and each outcome --delay later.

    Rows are logged with their event time, and outcomes with the event time plus --delay. Drift evaluates the windows of
    that time, with two exceptions, about which the command warns. Rows before the first live prediction, or before a window
    that is already evaluated, get no verdict. Windows before the model's newest row may be evaluated before they are complete.
    A file in event-time order is read in batches; any other is sorted in memory. Refused rows are counted, the other rows
    are sent, and the exit code is 1.
    """
    from cli.progress import bar
    from cli.replay.replayer import Replayer, ReplayOptions
    from homeostat.client.client import Client

    with command_output(as_json) as output:
        options = ReplayOptions(_delay(delay), _speed(speed), batch, limit)
        home = find_home(home, inference_url, drift_url, note=output.note)
        settings = client_settings(home, inference_url=inference_url, drift_url=drift_url)
        where = addresses(settings)
        url = where.inference
        with Client(url, model or None, retry_s=START_S, headers=where.key.headers(url)) as client:
            inputs = client.inputs()
        history = _history(output, file, time_column, outcome_column, inputs)
        total = min(history.rows, limit or history.rows)
        # The address of inference alone does not say which drift service belongs to it.
        warnings = (
            []
            if settings.inference_url and not settings.drift_url
            else _warnings(output, where, inputs.model, history, file, total)
        )
        with bar(output, f"replaying {inputs.model}", total) as shown:

            def progress(rows: int, moment: object) -> None:
                shown.advance(rows)
                shown.step(f"replaying {inputs.model}, {str(moment)[:16]}")

            client = Client(url, inputs.model, retry_s=RETRY_S, headers=where.key.headers(url))
            result = Replayer(client, inputs.model, options, on_progress=progress).run(history)
        for reason in result.reasons:
            output.note(reason)
        output.result({**result.document(), "warnings": warnings}, result.text())
        if result.interrupted:
            raise typer.Exit(INTERRUPTED)
        if result.stopped_by is not None:
            # With --json the document above has the error, and there is one document only.
            code = exit_code(result.stopped_by) if as_json else output.error(result.stopped_by)
            raise typer.Exit(code)
        if not result.is_complete:
            raise typer.Exit(FOUND_SOMETHING)


def _history(output: Output, file: Path, time: str, outcome: str, inputs: ModelInputs) -> History:
    from datetime import UTC, datetime

    from cli.replay.history import Columns, History, open_parquet
    from cli.replay.outcome_column import check_outcomes, prediction_of
    from shared.models.feature_names import columns_of

    prediction = prediction_of(inputs.answer)
    has = open_parquet(file).schema_arrow.names
    if outcome == OUTCOME and OUTCOME not in has:
        output.note(f"{file} has no column {OUTCOME}, so no outcomes are sent")
        outcome = ""
    if outcome and prediction is not None and not prediction.has_loss:
        output.note(f"predictions of kind {prediction.kind} have no outcomes, so none are sent")
        outcome = ""
    columns = {name: name for name in inputs.names} | columns_of(
        inputs.names, [name for name in has if name not in (time, outcome)]
    )
    history = History(file, Columns(time, outcome, columns), datetime.now(UTC))
    if outcome and prediction is not None:
        check_outcomes(file, outcome, prediction, inputs.model)
    if not history.is_sorted:
        output.note(f"{file} is not in order of {time}; sorting its {history.rows} rows in memory")
    return history


def _warnings(
    output: Output, where: Addresses, model: str, history: History, file: Path, rows: int
) -> list[str]:
    """Prints and returns the warning about rows that will get no verdict, if there are such rows."""
    from cli.replay.unevaluated import problem_text, read_progress, unevaluated_text

    try:
        progress = read_progress(where, model)
    except HomeostatError as error:
        output.note(problem_text(error))
        return []
    if progress is None:
        return []
    text = unevaluated_text(file, model, progress, history.rows_before, rows)
    if text:
        output.warning(text)
    return [text] if text else []


def _speed(text: str) -> float | None:
    try:
        speed = None if text == "max" else float(text)
    except ValueError:
        speed = 0.0
    if speed is not None and not 0 < speed < float("inf"):
        raise CallerError(
            f"--speed is {text!r}; expected a number above 0, or max", hint="for example --speed 100"
        )
    return speed


def _delay(text: str) -> timedelta:
    from pydantic import TypeAdapter, ValidationError

    from shared.contracts.duration import Duration

    try:
        delay: timedelta = TypeAdapter(Duration).validate_python(text)
    except ValidationError as error:
        raise CallerError(
            f"--delay is {text!r}; expected a number and a unit of s, m, h or d",
            hint="for example --delay 1h",
        ) from error
    return delay
