"""`homeostat why`: the chain from a prediction, or a version, back to its cause."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from cli.doors import Door, addresses
from cli.options import Home, Json, RetrainingUrl, settings_with
from cli.telling import telling

PREDICTION_ID_LENGTH = 32
LINKS = ("prediction", "release", "version", "run", "snapshot", "cause")


def why(
    name: Annotated[
        str, typer.Argument(help="A prediction id, or a version (its first 12 characters will do).")
    ],
    home: Home = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Show prediction → version → run → snapshot → cause, and what each step was decided on."""
    with telling(as_json) as teller:
        where = addresses(settings_with(home, retraining_url=retraining_url))
        kind = "predictions" if len(name) == PREDICTION_ID_LENGTH else "versions"
        with Door("retraining", where.retraining) as retraining:
            chain = retraining.get(f"/{kind}/{name}/why")
        teller.result(chain, draw(f"{kind.removesuffix('s')} {name}", chain))


def draw(title: str, chain: dict[str, Any]) -> Tree:
    """The chain as a tree: each link hangs below what it explains; what the service adds beside the links hangs at the root."""
    tree = Tree(f"[bold]{escape(title)}[/]")
    node = tree
    for link in LINKS:
        if chain.get(link) not in (None, "", [], {}):
            node = node.add(f"[bold]{link}[/]")
            grow(node, chain[link])
    grow(tree, {name: value for name, value in chain.items() if name not in LINKS})
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
