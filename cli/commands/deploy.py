"""`homeostat deploy`: build a version of a model project, release it, and wait until it is served."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.command_settings import settings_with
from cli.deployment.slot import slot_of, wait_until_served
from cli.deployment.stack_home import require_retraining
from cli.home import find_home
from cli.options import Actor, InferenceUrl, Json, RetrainingUrl, StackHome
from cli.output import command_output, short_version
from local_stack.addresses import addresses
from shared.errors import CallerError
from shared.files import keep_files_private

# The gate scores both versions, each within the service's own limit of time.
_GATE_S = 900.0
Train = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Parquet file of training rows, with outcomes."),
]
Holdout = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="Parquet file of later rows, with outcomes, for the reference."
    ),
]


def deploy(
    project: Annotated[
        Path,
        typer.Argument(
            help="Folder of the model project, with its loop.yaml; with --reference a model file or MLflow URI."
        ),
    ],
    train: Train = None,
    holdout: Holdout = None,
    artifact: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Package this folder instead of training: model.onnx or model.pt2, metrics.json, reference.parquet.",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Parquet file of rows with outcomes. PROJECT is then a fitted model, which is exported and deployed.",
        ),
    ] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(
            help="With --reference: column of outcomes; repeated for a model of several values. Default: outcome."
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help="With --reference: label of a class; repeated for each class, in the order of the model's output (torch, ONNX)."
        ),
    ] = None,
    event_time: Annotated[
        str, typer.Option(help="With --reference: column of event times. Default: event_time.")
    ] = "",
    positive: Annotated[
        str,
        typer.Option(
            help="With --reference: positive class of two, whose probability is the score. Default: the second class."
        ),
    ] = "",
    kind: Annotated[
        str,
        typer.Option(
            help="With --reference: kind of prediction (embedding, value or probability), if it cannot be inferred (torch, ONNX)."
        ),
    ] = "",
    name: Annotated[
        str, typer.Option(help="With --reference: name of the model. Default: the name of its file.")
    ] = "",
    runtime: Annotated[
        str,
        typer.Option(
            help="With --reference: onnxruntime (default), or torch, which serves a .pt2 program without converting it."
        ),
    ] = "",
    python: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Python interpreter that loads the model for the export. Default: the one of this command.",
        ),
    ] = None,
    canary: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Serve the version as a canary: it answers this share of the requests, in place of the live version.",
        ),
    ] = None,
    shadow: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Serve the version as a shadow: it answers copies of this share of the requests.",
        ),
    ] = None,
    force: Annotated[
        str,
        typer.Option(
            help="Reason to release without the gate's comparison with the live version; it is recorded."
        ),
    ] = "",
    import_rows: Annotated[
        bool | None,
        typer.Option(
            "--import/--no-import",
            help="Import the rows of --train into the prediction log, for later runs. Default: for a model's first version.",
        ),
    ] = None,
    actor: Actor = "",
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until the version is served; 0 does not wait.")
    ] = 60.0,
    home: StackHome = None,
    inference_url: InferenceUrl = "",
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Train, package, sign and release a version of a model project.

    The training command runs on the rows of --train. The rows of --holdout are not used for training; they are scored, and
    become part of the version's reference. Both files need the columns `event_time` and `outcome`, and one per feature.
    With --artifact, an existing model is packaged and nothing is trained. Without options, the files that
    `homeostat.export` wrote to the project's folder are packaged. With --reference, PROJECT is a fitted model; it is
    first exported to a folder with its name. Warning: loading a pickle, a .pt2 file or an MLflow model runs code stored in it.
    The command warns about settings of loop.yaml that do not suit the rows, and releases the version nevertheless. With the first
    version of a model its training rows are imported, as `homeostat import` does, so that the first retraining has them.
    With --canary or --shadow it is served beside the live version, until it is withdrawn, promoted or replaced.
    Retraining refuses a version that fails the gate against the live one, on rows of the lake that neither was trained on, unless
    --force gives a reason. The command waits until inference serves the released version.
    """
    from cli.deployment.model_export import export_project, names_mlflow_model
    from cli.deployment.review.policy_backtest import backtest_warnings
    from cli.deployment.review.review import review
    from cli.deployment.review.training_command import command_warnings
    from cli.deployment.training_history import import_or_warn
    from cli.deployment.version_builder import VersionBuilder
    from cli.progress import bar
    from shared.contracts.loop_yaml import read_loop_spec
    from shared.contracts.version_files.names import MODEL_FILES
    from shared.models.signed_versions.installation_keys import ensure_keys
    from shared.stores.model_store import open_model_store

    with command_output(as_json) as output:
        side = slot_of(canary, shadow)
        home = find_home(home, inference_url, retraining_url, note=output.note)
        settings = settings_with(home, inference_url=inference_url, retraining_url=retraining_url)
        where = addresses(settings)
        if reference is not None:
            if train is not None or holdout is not None or artifact is not None:
                raise CallerError(
                    "--reference exports a fitted model and cannot be combined with --train, --holdout or --artifact",
                    hint=f"homeostat deploy {project} --reference {reference}",
                )
            require_retraining(settings, where, project)
            project = export_project(
                str(project),
                reference,
                python=python,
                note=output.note,
                outcome=outcome or (),
                labels=labels or (),
                event_time=event_time,
                positive=positive,
                kind=kind,
                name=name,
                runtime=runtime,
            )
        elif outcome or labels or event_time or positive or kind or name or runtime:
            raise CallerError(
                "--outcome, --labels, --event-time, --positive, --kind, --name and --runtime require --reference",
                hint=f"homeostat deploy {project} --reference rows.parquet",
            )
        elif project.is_file() or names_mlflow_model(str(project)):
            raise CallerError(
                f"{project} is {'a file' if project.is_file() else 'in MLflow'}, not the folder of a model project",
                hint=f"export it first, with rows it can score: homeostat deploy {project} --reference rows.parquet",
            )
        loop = read_loop_spec(project)
        require_retraining(settings, where, project)
        keep_files_private()  # only now: the project of an export is its owner's to share
        logs = settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        keys = ensure_keys(settings.home)
        store = open_model_store(settings.model_store_url, keys)
        first = store.live_release(loop.model) is None
        with bar(output, f"deploying {loop.model}") as shown:
            builder = VersionBuilder(
                store,
                keys,
                logs / f"deploy-{loop.model}.log",
                hidden=(settings.home,),
                on_progress=shown.step,
                on_training=lambda command: output.note(f"training {loop.model} with `{' '.join(command)}`"),
            )
            if (
                artifact is None
                and train is None
                and holdout is None
                and any((project / name).is_file() for name in MODEL_FILES)
            ):
                artifact = project
            if artifact is not None and train is None and holdout is None:
                built = builder.artifact(artifact, loop)
            elif artifact is None and train is not None and holdout is not None:
                built = builder.trained(project, loop, rows=train, holdout=holdout)
            else:
                data = f"--train {project / 'train.parquet'} --holdout {project / 'holdout.parquet'}"
                raise CallerError(
                    "a deployment needs either --train and --holdout, or --artifact",
                    hint=f"homeostat deploy {project} {data}",
                )
        manifest = built.manifest
        warnings = [
            *review(loop, built.rows),
            *command_warnings(loop, project),
            *backtest_warnings(loop, project),
        ]
        for warning in warnings:
            output.warning(warning.text)
        output.note(f"packaged and signed version {short_version(manifest.version)} of {loop.model}")
        with where.client("retraining", timeout_s=_GATE_S) as retraining:
            answer = retraining.post(
                f"/models/{loop.model}/deployments",
                {
                    "version": manifest.version,
                    "project_directory": str(project.absolute()),
                    "actor": where.actor(actor),
                    **side,
                    **({"force": force} if force else {}),
                },
            )
        notes = [str(note) for note in answer.get("notes", ())]
        for note in [*notes, *([f"gate passed: {answer['gate']['reason']}"] if answer.get("gate") else [])]:
            output.note(note)
        imported = None
        if built.training is not None and (first if import_rows is None else import_rows):
            imported = import_or_warn(output, settings, loop, built.training)
        generation = int(answer["release"]["generation"])
        release_slot = str(answer["release"].get("slot", "live"))
        if wait > 0:
            with (
                where.client("inference") as inference,
                bar(output, "waiting for inference to serve it"),
            ):
                wait_until_served(inference, loop.model, generation, wait, release_slot=release_slot)
        output.result(
            {
                "model": loop.model,
                "version": manifest.version,
                "generation": generation,
                "metrics": manifest.metrics,
                "served": wait > 0,
                "warnings": [asdict(warning) for warning in warnings],
                "notes": notes,
                "imported_rows": imported,
            },
            f"{loop.model}: version {short_version(manifest.version)} is "
            + ("served" if wait > 0 else "released")
            + (f" as {release_slot}" if release_slot != "live" else "")
            + f" as generation {generation}",
        )
