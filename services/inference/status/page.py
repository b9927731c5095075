"""The status page: one HTML document, light or dark as the reader's system is, that works without its script. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from services.inference.status.page_frame import frame

_AGES = ((86400, "d"), (3600, "h"), (60, "min"))


def draw_status(report: dict[str, Any]) -> str:
    """The page for a status report."""
    state = "ready" if report["ready"] else "not ready"
    sections = (
        _section("state", "State", _summary(report) + _notices(report["messages"])),
        _section("models", "Models", _models(report["models"])),
        _section("requests", "Requests", _requests(report["requests"])),
        _section(
            "log", "Log", _facts("log", "The spool of this server, from which rows are shipped", _log(report))
        ),
        _section(
            "releases",
            "Release log",
            _facts("releases", "What this server follows", _releases(report["release_log"])),
        ),
    )
    return frame(
        f"Homeostat inference, {state}",
        "Homeostat inference",
        "\n".join(sections),
        'The same as <a href="/status.json">JSON</a>, and as <a href="/metrics">metrics</a>.',
    )


def _section(identity: str, heading: str, content: str) -> str:
    return (
        f'<section id="{identity}" aria-labelledby="{identity}-heading">'
        f'<h2 id="{identity}-heading">{heading}</h2>\n{content}</section>'
    )


def _summary(report: dict[str, Any]) -> str:
    served = sum(1 for model in report["models"] if model["version"])
    state = (
        f'<strong class="good">Ready</strong>: {served} {"model is" if served == 1 else "models are"} served.'
        if report["ready"]
        else '<strong class="bad">Not ready</strong>: no model is served.'
    )
    return (
        f'<p id="summary">{state}</p>\n'
        f"<p>Runs on {_text(report['device'])} ({_text(report['device_reason'])}) since {_time(report['started_at'])}; "
        f"these figures are of {_time(report['at'])}.</p>"
    )


def _notices(messages: list[dict[str, str]]) -> str:
    if not messages:
        return ""
    words = {"problem": '<strong class="bad">Problem</strong>: ', "info": ""}
    items = "".join(
        f'<li class="{message["level"]}">{words[message["level"]]}{_text(message["text"])}</li>'
        for message in messages
    )
    return f'<ul class="messages">{items}</ul>'


def _models(models: list[dict[str, Any]]) -> str:
    if not models:
        return "<p>None yet.</p>"
    heads = (
        "model",
        "version",
        "generation",
        "newest release",
        "last prediction",
        "answered",
        "refused",
        "failed",
        "released as",
        "since",
        "device",
    )
    return _table(
        "models", "One row per model, with its requests since this server started", heads, map(_model, models)
    )


def _model(model: dict[str, Any]) -> Sequence[str]:
    requests = model["requests"]
    newest = (
        '<span class="bad">not served</span>' if model["last_error"] else '<span class="good">served</span>'
    )
    return (
        _text(model["name"]),
        f"<code>{_text(model['version'][:12])}</code>" if model["version"] else "",
        str(model["generation"] or ""),
        newest,
        _last_prediction(model),
        f"{requests['answered']:,}",
        f"{requests['refused']:,}",
        _count_of_bad(requests["failed"]),
        f"{_text(model['reason'])} by {_text(model['released_by'])}" if model["version"] else "",
        _time(model["since"]),
        _text(model["device"]),
    )


def _requests(requests: dict[str, Any]) -> str:
    facts = _facts(
        "requests",
        "All requests since this server started",
        [
            ("last prediction", _last_prediction(requests)),
            ("being answered now", f"{requests['in_flight']:,}"),
            ("calls waiting for a thread", f"{requests['calls_queued']:,}"),
            ("answered", f"{requests['answered']:,}"),
            ("refused, the caller’s to mend", f"{requests['refused']:,}"),
            ("failed, ours to mend", _count_of_bad(requests["failed"])),
        ],
    )
    if not requests["errors"]:
        return f"{facts}\n<p>No request got an error.</p>"
    rows = ((_text(status), f"{count:,}") for status, count in requests["errors"].items())
    return f"{facts}\n{_table('errors', 'Errors by HTTP status', ('status', 'requests'), rows)}"


def _releases(log: dict[str, Any]) -> list[tuple[str, str]]:
    age = log["seconds_since_read"]
    return [
        ("last read", "never" if age is None else _age(age)),
        ("models in it", _text(", ".join(log["models"])) or "none"),
        ("last problem", _problem(log["last_error"])),
    ]


def _log(report: dict[str, Any]) -> list[tuple[str, str]]:
    spool = report["spool"]
    dropped = sum(count for models in spool["dropped"].values() for count in models.values())
    kept = sum(count for models in spool["appended"].values() for count in models.values())
    return [
        ("writer, epoch", f"<code>{_text(report['writer'])}</code>, {report['epoch']}"),
        ("waiting for the shipper", f"{spool['bytes']:,} of {spool['bound']:,} bytes"),
        ("rows written", f"{kept:,}"),
        ("rows dropped", _count_of_bad(dropped)),
        ("last problem", _problem(spool["last_error"])),
    ]


def _facts(identity: str, caption: str, facts: list[tuple[str, str]]) -> str:
    rows = "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in facts)
    return _scroll(identity, caption, f"<tbody>{rows}</tbody>")


def _table(identity: str, caption: str, heads: Sequence[str], rows: Any) -> str:
    """A table whose first column names the row; empty cells show a dash."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = ""
    for first, *rest in rows:
        cells = "".join(f"<td>{cell or '–'}</td>" for cell in rest)
        body += f'<tr><th scope="row">{first}</th>{cells}</tr>'
    return _scroll(identity, caption, f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>")


def _scroll(identity: str, caption: str, content: str) -> str:
    """A table that may be wider than the screen: the keyboard reaches what scrolls."""
    return (
        f'<div class="scroll" role="region" aria-labelledby="{identity}-caption" tabindex="0">'
        f'<table><caption id="{identity}-caption">{caption}</caption>{content}</table></div>'
    )


def _last_prediction(facts: dict[str, Any]) -> str:
    if not facts["last_prediction_at"]:
        return "none yet"
    return f"{_time(facts['last_prediction_at'])}, {_age(facts['seconds_since_prediction'])}"


def _count_of_bad(count: int) -> str:
    return f'<span class="bad">{count:,}</span>' if count else "0"


def _problem(problem: str) -> str:
    return f'<span class="bad">{_text(problem)}</span>' if problem else '<span class="good">none</span>'


def _age(seconds: float) -> str:
    for size, unit in _AGES:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.1f} s ago"


def _time(iso: str) -> str:
    if not iso:
        return ""
    return f'<time datetime="{_text(iso)}">{_text(iso[:19].replace("T", " "))} UTC</time>'


def _text(value: object) -> str:
    return escape(str(value))
