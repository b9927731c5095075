"""Options that several commands of `homeostat inject` share."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.completion import complete_model

OneModel = Annotated[
    str,
    typer.Option(
        "--model", help="Name of the model. Default: the only served model.", autocompletion=complete_model
    ),
]
Rows = Annotated[
    int | None,
    typer.Option(min=1, max=200_000, help="Number of rows to send. Default: enough for --windows."),
]
Windows = Annotated[int, typer.Option(min=1, max=100, help="Number of drift windows to fill.")]
WindowsForRun = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100,
        help="Number of drift windows to fill. Default: enough for one retraining run and its holdout.",
    ),
]
Rate = Annotated[float, typer.Option(min=0.1, max=10_000, help="Rows per second.")]
Duration = Annotated[str, typer.Option("--for", help="Duration, such as 30s or 2m; at most 10m.")]
MaxDuration = Annotated[
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
        help="Inject even if the model retrains automatically or the lake has other rows. Injected rows cannot be removed.",
    ),
]
Seed = Annotated[int, typer.Option(help="Random seed.")]
Outcomes = Annotated[bool, typer.Option(help="Also send the outcomes, with the delay of loop.yaml.")]
Wait = Annotated[
    float, typer.Option(min=0, max=600, help="Seconds to wait for drift's verdict; 0 does not wait.")
]
