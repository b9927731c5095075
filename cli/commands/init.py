"""`homeostat init`: write a model project that works without changes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.options import Json
from cli.output import command_output
from shared.errors import Conflict

PROJECT = Path(__file__).resolve().parent.parent / "templates"
NAME = "parcels"


class Library(StrEnum):
    """Libraries for the training command; each trains a model for the same data and exports it to ONNX."""

    numpy = "numpy"
    scikit_learn = "scikit-learn"
    torch = "torch"


# Where each file of a new project comes from, below PROJECT; train.py depends on the library.
WORKFLOW = ".github/workflows/data.yml"
SOURCES = {
    "loop.yaml": "loop.yaml",
    "make_data.py": "make_data.py",
    "test_data.py": "test_data.py",
    WORKFLOW: "data.yml",
    "README.md": "README.md",
}
FILES = ("loop.yaml", "train.py", "make_data.py", "test_data.py", WORKFLOW, "README.md")


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new project; created if it does not exist.")],
    model: Annotated[
        str,
        typer.Option(help="Name of the model: lowercase letters, digits, _ and -."),
    ] = NAME,
    library: Annotated[
        Library, typer.Option("--with", help="Library that the training command uses.")
    ] = Library.numpy,
    as_json: Json = False,
) -> None:
    """Write a small model project: loop.yaml, a training command, a data generator, a test of the data and a README."""
    from shared.contracts.loop_yaml import parse_loop_spec

    with command_output(as_json) as output:
        taken = [name for name in FILES if (folder / name).exists()]
        if taken:
            raise Conflict(
                f"{folder / taken[0]} already exists; nothing was written", hint="choose another folder"
            )
        sources = {**SOURCES, "train.py": f"trainings/{library.name}.py"}
        texts = {name: (PROJECT / sources[name]).read_text(encoding="utf-8") for name in FILES}
        texts["loop.yaml"] = texts["loop.yaml"].replace(f"model: {NAME}\n", f"model: {model}\n")
        texts["README.md"] = (
            texts["README.md"].replace(f'"{NAME}"', f'"{model}"').replace(f"# {NAME}:", f"# {model}:")
        )
        parse_loop_spec(texts["loop.yaml"], origin="--model")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        output.result(
            {
                "folder": str(folder.absolute()),
                "model": model,
                "library": library.value,
                "files": list(FILES),
            },
            f"{folder}: {', '.join(FILES)}\nnext: (cd {folder} && python make_data.py) && homeostat deploy {folder} "
            f"--train {folder}/train.parquet --holdout {folder}/holdout.parquet",
        )
