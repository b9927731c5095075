"""Hints that list the known names, for a name that no service knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli.next_step import APPROVAL
from cli.output import short_version
from local_stack.addresses import Addresses
from shared.errors import HomeostatError, NotFound
from shared.http.service_client import items

TIMEOUT_S = 3.0
LISTED = 5


@contextmanager
def listing(known: Callable[[], str]) -> Iterator[None]:
    """A `NotFound` raised in the block gets the hint of `known`; if that is empty, it keeps its own."""
    try:
        yield
    except NotFound as error:
        raise NotFound(error.message, hint=known() or error.hint) from error


def known_models(where: Addresses) -> str:
    """The models that inference serves."""
    names = served_models(where)
    return f"known models: {', '.join(names)}" if names else "`homeostat deploy` releases the first version"


def served_models(where: Addresses) -> list[str]:
    """Names of the models that inference serves; none if it cannot be reached."""
    return sorted(_values(where, "inference", "/status.json", "models", "name"))


def known_runs(where: Addresses) -> str:
    """The newest runs."""
    found = _values(where, "retraining", "/runs?limit=5", "runs", "run_id")
    return _hint("newest runs", found) or "`homeostat runs` lists the runs"


def waiting_runs(where: Addresses) -> str:
    """The runs that wait for approval, else the newest runs."""
    found = [
        run
        for state in APPROVAL
        for run in _values(where, "retraining", f"/runs?state={state}", "runs", "run_id")
    ]
    return _hint("runs waiting for approval", list(dict.fromkeys(found))) or known_runs(where)


def known_versions(where: Addresses) -> str:
    """The versions that inference serves."""
    served = _values(where, "inference", "/status.json", "models", "version")
    return _hint("served versions", [short_version(version) for version in served])


def known_causes(where: Addresses) -> str:
    """The causes of the newest decisions."""
    found = _values(where, "retraining", "/decisions?limit=20", "decisions", "cause_key")
    return _hint("newest causes", found)


def known_verdicts(where: Addresses) -> str:
    """The newest verdicts."""
    return _hint("newest verdicts", _values(where, "drift", "/verdicts?limit=5", "verdicts", "verdict_id"))


def _hint(title: str, names: list[str]) -> str:
    return f"{title}: {', '.join(names[:LISTED])}" if names else ""


def _values(where: Addresses, service: str, path: str, name: str, field: str) -> list[str]:
    """One field of the records at `path`, each value once; none if the service cannot be reached."""
    try:
        with where.client(service, timeout_s=TIMEOUT_S) as client:
            found = items(client.get(path), name)
    except HomeostatError:
        return []
    return list(dict.fromkeys(str(one[field]) for one in found if one.get(field)))
