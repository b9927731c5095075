"""`homeostat deploy`: make a version of a model project, release it, and wait until it is served."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import Annotated

import typer

from cli.command_settings import settings_with
from cli.options import Actor, Home, InferenceUrl, Json, RetrainingUrl
from cli.output import telling
from cli.progress import bar
from local_stack.addresses import addresses
from shared.contracts.loop_spec import read_loop_spec
from shared.contracts.manifest import short
from shared.errors import CallerError, DependencyUnavailable, OperatorError
from shared.http.service_client import ServiceClient

PAUSE_S = 0.2
File = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Parquet file of rows with outcomes.")
]


def deploy(
    project: Annotated[Path, typer.Argument(help="Folder of the model project, with its loop.yaml.")],
    train: File = None,
    holdout: File = None,
    artifact: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Instead of training: a folder with model.onnx, metrics.json and reference.parquet.",
        ),
    ] = None,
    actor: Actor = "",
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until it is served; 0: do not wait.")
    ] = 60.0,
    home: Home = None,
    inference_url: InferenceUrl = "",
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Train, package, sign and release a version of a model project.

    1. loop.yaml is read.   2. The training command runs on --train and --holdout, or --artifact is taken as it is.
    3. The version is packaged and signed.   4. Retraining adds it to the release log.   5. Inference serves it.
    """
    # Packaging needs libraries that take a second to import; no other command should wait for them.
    from cli.deployment.version_builder import Packer
    from shared.models.keys import ensure_keys
    from shared.stores.model_store import open_model_store

    with telling(as_json) as teller:
        settings = settings_with(home, inference_url=inference_url, retraining_url=retraining_url)
        loop = read_loop_spec(project)
        where = addresses(settings)
        logs = settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        store, keys = open_model_store(settings.model_store_url), ensure_keys(settings.home)
        with bar(teller, f"deploying {loop.model}") as shown:
            packer = Packer(store, keys, logs / f"deploy-{loop.model}.log", told=shown.step)
            if artifact is not None and train is None and holdout is None:
                manifest = packer.artifact(artifact, loop)
            elif artifact is None and train is not None and holdout is not None:
                teller.note(f"training {loop.model} with `{' '.join(loop.retraining.command)}`")
                manifest = packer.trained(project, loop, rows=train, holdout=holdout)
            else:
                raise CallerError(
                    "a deployment needs either --train and --holdout, or --artifact",
                    hint=f"homeostat deploy {project} --train train.parquet --holdout holdout.parquet",
                )
        teller.note(f"version {short(manifest.version)} of {loop.model} is packaged and signed")
        with ServiceClient("retraining", where.retraining) as retraining:
            answer = retraining.post(
                f"/models/{loop.model}/deployments",
                {
                    "version": manifest.version,
                    "project_directory": str(project.absolute()),
                    "actor": actor or getpass.getuser(),
                },
            )
        generation = int(answer["release"]["generation"])
        if wait > 0:
            with (
                ServiceClient("inference", where.inference) as inference,
                bar(teller, "waiting until it is served"),
            ):
                _wait_until_served(inference, loop.model, generation, wait)
        teller.result(
            {
                "model": loop.model,
                "version": manifest.version,
                "generation": generation,
                "metrics": manifest.metrics,
                "served": wait > 0,
            },
            f"{loop.model}: version {short(manifest.version)} is "
            + (f"served as generation {generation}" if wait > 0 else f"released as generation {generation}"),
        )


def _wait_until_served(inference: ServiceClient, model: str, generation: int, wait_s: float) -> None:
    ends = time.monotonic() + wait_s
    problem = "it does not know the model yet"
    while True:
        try:
            found = next(
                (item for item in inference.get("/status.json")["models"] if item["name"] == model), None
            )
        except DependencyUnavailable as error:
            problem = error.message
        else:
            if found is not None and int(found["generation"]) >= generation:
                return
            if found is not None:
                problem = str(found.get("last_error") or f"it serves generation {found['generation']}")
        if time.monotonic() >= ends:
            raise OperatorError(
                f"{model} is released as generation {generation}, but inference does not serve it after {wait_s:.0f} s: "
                f"{problem}",
                hint="look at inference's /status page, then `homeostat rollback` or deploy again",
            )
        time.sleep(PAUSE_S)
