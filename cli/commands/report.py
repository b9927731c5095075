"""`homeostat report`: verdicts, and the drift report of one."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.command_settings import client_settings
from cli.completion import complete_model, complete_verdict
from cli.home import find_home
from cli.known_names import known_models, known_verdicts, listing, served_models
from cli.options import DriftUrl, Json, StackHome
from cli.output import command_output
from local_stack.addresses import addresses
from shared.errors import NotFound
from shared.http.service_client import items

COLOURS = {
    "ok": "green",
    "drift": "red",
    "data_fault": "magenta",
    "insufficient_data": "yellow",
    "warming_up": "dim",
}


def report(
    model: Annotated[str, typer.Argument(help="Only this model.", autocompletion=complete_model)] = "",
    open_id: Annotated[
        str,
        typer.Option(
            "--open", help="Open the report of this verdict in the browser.", autocompletion=complete_verdict
        ),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Number of verdicts, newest first.")] = 20,
    home: StackHome = None,
    drift_url: DriftUrl = "",
    as_json: Json = False,
) -> None:
    """List the newest verdicts with the URLs of their reports, or open one."""
    import webbrowser

    from cli.drawn_report import read_report
    from cli.progress import bar

    with command_output(as_json) as output:
        home = find_home(home, drift_url, note=output.note)
        where = addresses(client_settings(home, drift_url=drift_url))
        with where.client("drift") as drift:
            if open_id:
                with listing(lambda: known_verdicts(where)):
                    verdict = drift.get(f"/verdicts/{open_id}")
                url = f"{where.drift}/reports/{open_id}"
                with bar(output, "rendering the report"):
                    read_report(drift, f"/reports/{open_id}")
                opened = not as_json and webbrowser.open(url)
                output.result({"verdict": verdict, "report": url}, url if not opened else f"opened {url}")
                return
            params: dict[str, str | int] = {"limit": limit} | ({"model": model} if model else {})
            verdicts = items(drift.get("/verdicts", **params), "verdicts")
        served = served_models(where) if model and not verdicts else []
        if served and model not in served:
            raise NotFound(f"there is no model {model}", hint=known_models(where))
        for verdict in verdicts:
            verdict["report"] = f"{where.drift}/reports/{verdict['verdict_id']}"
        of_model = f" of {model}" if model else ""
        if of_model and not served:
            of_model += "; the name was not checked, because inference serves no model or cannot be reached"
        table = verdicts_table(verdicts, urls=not output.out.is_terminal)
        output.result({"verdicts": verdicts}, table if verdicts else f"no verdicts yet{of_model}")


def verdicts_table(verdicts: list[dict[str, Any]], *, urls: bool) -> Table:
    """One line per verdict, with the reason for every state but `ok`.

    `urls`: print the URLs of the reports; a terminal has them as links of the ids.
    """
    table = Table(box=None)
    for column in (
        "model",
        "window",
        "of",
        "verdict",
        "reason",
        "rows",
        "id",
        *(("report",) if urls else ()),
    ):
        table.add_column(column, no_wrap=column in ("id", "report"), overflow="fold")
    for verdict in verdicts:
        state, url = str(verdict["state"]), str(verdict["report"])
        window = f"{str(verdict['window_start'])[:16]} – {str(verdict['window_end'])[:16]}"
        table.add_row(
            escape(str(verdict["model"])),
            window,
            _detector(verdict),
            f"[{COLOURS.get(state, 'white')}]{state}[/]",
            escape(_reason(verdict)),
            str(verdict["rows"]),
            f"[link={url}]{verdict['verdict_id']}[/]",
            *((url,) if urls else ()),
        )
    return table


def _detector(verdict: dict[str, Any]) -> str:
    """What was judged, and the revision if outcomes that came later changed the verdict."""
    revision = int(verdict.get("revision") or 1)
    return str(verdict.get("detector") or "") + (f", revision {revision}" if revision > 1 else "")


def _reason(verdict: dict[str, Any]) -> str:
    """What drifted or is faulty: the kinds, and the features that did most. Without either, the explanation; empty for `ok`."""
    if verdict["state"] == "ok":
        return ""
    features = ", ".join(verdict.get("top_drifted_features") or ())
    kinds = list(verdict.get("drifted") or ())
    if not kinds:
        return features or str(verdict.get("explanation") or "")
    if features and "feature" in kinds:
        kinds[kinds.index("feature")] = f"feature ({features})"
    loss = f" (loss {verdict['loss']:.4g})" if isinstance(verdict.get("loss"), int | float) else ""
    found = ", ".join(f"performance{loss}" if kind == "performance" else kind for kind in kinds)
    where = " or ".join(str(one.get("where", "")) for one in verdict.get("found_slices") or ())
    return found + (f", mostly where {where}" if where else "")
