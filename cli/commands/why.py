"""`homeostat why`: which version answered a prediction, and why that version was served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command_settings import client_settings
from cli.completion import complete_name
from cli.explanation import explain
from cli.home import find_home
from cli.known_names import known_causes, known_runs, known_versions, listing
from cli.options import Json, RetrainingUrl, StackHome
from cli.output import command_output
from local_stack.addresses import Addresses, addresses
from shared.errors import NotFound
from shared.http.service_client import ServiceClient

if TYPE_CHECKING:
    from rich.tree import Tree

PREDICTION_ID_LENGTH = 32
CAUSE_KEY = re.compile("[0-9a-f]{32}")
VERSION = re.compile("[0-9a-f]{8,64}")
FORMS = (
    f"a prediction id has {PREDICTION_ID_LENGTH} characters, a version 64 hex digits, of which the first 8 are enough, "
    "a run id starts with run-, a cause key has 32 hex digits"
)
BACK = ("prediction", "release", "version", "run", "snapshot", "decision", "cause")
FORTH = ("cause", "decision", "run", "snapshot", "version", "predictions")


def why(
    name: Annotated[
        str,
        typer.Argument(
            help="A prediction id, a version (at least its first 8 characters), a run id (run-…) or a cause key.",
            autocompletion=complete_name,
        ),
    ],
    full: Annotated[
        bool, typer.Option("--full", help="Also print all records that the answer is based on, as a tree.")
    ] = False,
    home: StackHome = None,
    retraining_url: RetrainingUrl = "",
    as_json: Json = False,
) -> None:
    """Explain in one paragraph which version answered, which run created it, and what caused that run.

    For a run or a cause: the decision, the resulting version, and the number of its predictions.
    `--full` also prints all records that the answer is based on, as a tree; `--json` prints them as JSON.
    """
    with command_output(as_json) as output:
        home = find_home(home, retraining_url, note=output.note)
        where = addresses(client_settings(home, retraining_url=retraining_url))
        with where.client("retraining") as retraining:
            kind, chain = find_chain(retraining, where, name)
        output.result(chain, explain(kind, name, chain))
        if full and not as_json:
            output.result(None, draw(f"{kind} {name}", chain, FORTH if kind in ("run", "cause") else BACK))


def find_chain(retraining: ServiceClient, where: Addresses, name: str) -> tuple[str, dict[str, Any]]:
    """The kind of a name and the chain through it. Raises NotFound, with a hint that lists known names or says where it looked.

    A cause key is 32 hex digits. A prediction id is 32 characters of a wider alphabet, and may consist of hex digits by chance:
    such a name is tried as a cause first.
    """
    if name.startswith("run-"):
        with listing(lambda: known_runs(where)):
            return "run", retraining.get(f"/runs/{name}/why")
    if CAUSE_KEY.fullmatch(name):
        try:
            return "cause", retraining.get(f"/causes/{name}/why")
        except NotFound:
            with listing(lambda: "; ".join(filter(None, (known_causes(where), _searched(where))))):
                return "prediction", retraining.get(f"/predictions/{name}/why")
    if len(name) == PREDICTION_ID_LENGTH:
        with listing(lambda: _searched(where)):
            return "prediction", retraining.get(f"/predictions/{name}/why")
    if not VERSION.fullmatch(name):
        raise NotFound(f"{name} is not a prediction id, version, run id or cause key", hint=FORMS)
    with listing(lambda: known_versions(where)):
        return "version", retraining.get(f"/versions/{name}/why")


def _searched(where: Addresses) -> str:
    """Where a prediction id was looked up."""
    return (
        f"predictions were looked up in the lake of retraining at {where.retraining}; a new one reaches it within seconds, "
        "for one of another stack give that stack's --home or --retraining-url"
    )


def draw(title: str, chain: dict[str, Any], links: tuple[str, ...]) -> Tree:
    """The chain as a tree: each link below the one before it, other fields at the root."""
    from rich.markup import escape
    from rich.tree import Tree

    tree = Tree(f"[bold]{escape(title)}[/]")
    node = tree
    for link in links:
        if chain.get(link) not in (None, "", [], {}):
            node = node.add(f"[bold]{link}[/]")
            grow(node, chain[link])
    grow(tree, {name: value for name, value in chain.items() if name not in links})
    return tree


def grow(tree: Tree, value: Any) -> None:
    """Add a JSON value to the tree, without empty values, long lists cut."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _branch(tree, str(key), inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value[:20]):
            _branch(tree, str(place + 1), inner)
        if len(value) > 20:
            tree.add(f"[dim]… {len(value) - 20} more[/]")


def _branch(tree: Tree, name: str, inner: Any) -> None:
    from rich.markup import escape

    if inner in (None, "", [], {}):
        return
    if isinstance(inner, dict | list):
        grow(tree.add(f"[bold]{escape(name)}[/]"), inner)
    else:
        tree.add(f"[dim]{escape(name)}[/] {escape(str(inner))}")
