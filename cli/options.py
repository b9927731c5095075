"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.completion import complete_model

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Home = Annotated[
    Path | None,
    typer.Option(
        help="Data folder of the installation. Default: HOMEOSTAT_HOME, else .homeostat in this folder."
    ),
]
StackHome = Annotated[
    Path | None,
    typer.Option(
        help="Data folder of the installation. Default: HOMEOSTAT_HOME, else .homeostat in this folder, else the home of "
        "the only running stack."
    ),
]
InferenceUrl = Annotated[str, typer.Option(help="Base URL of inference. Default: the running stack's.")]
DriftUrl = Annotated[str, typer.Option(help="Base URL of drift. Default: the running stack's.")]
RetrainingUrl = Annotated[str, typer.Option(help="Base URL of retraining. Default: the running stack's.")]
Model = Annotated[str, typer.Argument(help="Name of the model.", autocompletion=complete_model)]
Actor = Annotated[str, typer.Option(help="Name to record as the actor. Default: the current user.")]
