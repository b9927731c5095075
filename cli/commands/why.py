"""`homeostat why`: the chain from a prediction, version, run or cause, back and forth."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from cli.command_settings import settings_with
from cli.completion import complete_name
from cli.options import Home, Json, RetrainingUrl
from cli.output import telling
from local_stack.addresses import addresses
from shared.errors import NotFound
from shared.http.service_client import ServiceClient

PREDICTION_ID_LENGTH = 32
CAUSE_KEY = re.compile("[0-9a-f]{32}")
BACK = ("prediction", "release", "version", "run", "snapshot", "decision", "cause")
FORTH = ("cause", "decision", "run", "snapshot", "version", "predictions")


def why(
    name: Annotated[
        str,
        typer.Argument(
            help="A prediction id, a version (its first 12 characters will do), a run id (run-…) or a cause.",
            autocompletion=complete_name,
        ),
    ],
    home: Home = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Show prediction → version → run → snapshot → cause, and what each step was decided on; from a run or cause the way forth,
    to the predictions its version answered."""
    with telling(as_json) as teller:
        where = addresses(settings_with(home, retraining_url=retraining_url))
        with ServiceClient("retraining", where.retraining) as retraining:
            kind, chain = ask(retraining, name)
        teller.result(chain, draw(f"{kind} {name}", chain, FORTH if kind in ("run", "cause") else BACK))


def ask(retraining: ServiceClient, name: str) -> tuple[str, dict[str, Any]]:
    """What a name is and the chain through it. Raises NotFound.

    A cause is 32 hex digits. A prediction id is 32 characters of a wider alphabet, and once in 4 billion it is all hex digits
    too: such a name is tried as a cause first.
    """
    if name.startswith("run-"):
        return "run", retraining.get(f"/runs/{name}/why")
    if CAUSE_KEY.fullmatch(name):
        try:
            return "cause", retraining.get(f"/causes/{name}/why")
        except NotFound:
            return "prediction", retraining.get(f"/predictions/{name}/why")
    if len(name) == PREDICTION_ID_LENGTH:
        return "prediction", retraining.get(f"/predictions/{name}/why")
    return "version", retraining.get(f"/versions/{name}/why")


def draw(title: str, chain: dict[str, Any], links: tuple[str, ...]) -> Tree:
    """The chain as a tree: each link hangs below the one before it; what the service adds beside the links hangs at the root."""
    tree = Tree(f"[bold]{escape(title)}[/]")
    node = tree
    for link in links:
        if chain.get(link) not in (None, "", [], {}):
            node = node.add(f"[bold]{link}[/]")
            grow(node, chain[link])
    grow(tree, {name: value for name, value in chain.items() if name not in links})
    return tree


def grow(tree: Tree, value: Any) -> None:
    """Hang a JSON value into the tree: what is empty is left out, long lists are cut."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _branch(tree, str(key), inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value[:20]):
            _branch(tree, str(place + 1), inner)
        if len(value) > 20:
            tree.add(f"[dim]… {len(value) - 20} more[/]")


def _branch(tree: Tree, name: str, inner: Any) -> None:
    if inner in (None, "", [], {}):
        return
    if isinstance(inner, dict | list):
        grow(tree.add(f"[bold]{escape(name)}[/]"), inner)
    else:
        tree.add(f"[dim]{escape(name)}[/] {escape(str(inner))}")
