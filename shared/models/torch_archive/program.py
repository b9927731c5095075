"""A program that was read and checked: nothing of it has run, and torch is not imported. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.errors import UnservableModel
from shared.models.torch_archive.document import MALFORMED, parse, take
from shared.models.torch_archive.graph import Step, read_steps
from shared.models.torch_archive.members import PROGRAM, read_members
from shared.models.torch_archive.signature import Signature, read_signature
from shared.models.torch_archive.weights import read_weights

# The major version of torch's form, which changes when old readers misread it.
_SCHEMA = 8


@dataclass(frozen=True)
class Program:
    """What a program takes and returns, and its steps."""

    signature: Signature
    steps: tuple[Step, ...] = field(repr=False)


def read_program(archive: bytes) -> Program:
    """The program in the bytes of `model.pt2`. Raises UnservableModel for anything that is no plain graph of tensors.

    1. members: no pickles that are read, no compiled code   2. weights: raw numbers within their members
    3. inputs and outputs: tensors   4. steps: allowed operators, whose arguments are data
    Names, metadata, guards, classes and expressions of the file are never imported, evaluated or looked up.
    """
    members = read_members(archive)
    document = parse(PROGRAM, members.documents[PROGRAM])
    version = take(take(document, "schema_version", dict, "the program"), "major", int, "the schema version")
    if version != _SCHEMA:
        raise UnservableModel(
            f"model.pt2 has the form {version} of torch.export; {_SCHEMA} is served",
            hint="save it with a torch of the same major form, or export the model to ONNX",
        )
    module = take(document, "graph_module", dict, "the program")
    graph = take(module, "graph", dict, "the program")
    weights, constants = read_weights(members)
    signature = read_signature(module, graph, weights, constants)
    known = {name for name, _ in signature.values}
    steps = read_steps(graph, known)
    for name in signature.results:
        if name not in known:
            raise UnservableModel(f"model.pt2 returns {name[:80]!r}, which no step computes", hint=MALFORMED)
    return Program(signature, steps)
