"""The status page: one HTML document, light or dark as the reader's system is, with nothing loaded from anywhere. Pure."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1b2430, #e4e8ee); --soft: light-dark(#5b6775, #98a4b3);
  --line: light-dark(#d8dee6, #303a47); --paper: light-dark(#fbfcfd, #12171e); --card: light-dark(#fff, #1a212b);
  --good: light-dark(#1a7f4b, #4cc38a); --bad: light-dark(#b3261e, #ff8f87); }
* { box-sizing: border-box } body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem } h1 { font-size: 1.35rem; margin: 0 0 .25rem }
h2 { font-size: 1rem; margin: 2rem 0 .5rem } p { margin: .25rem 0; color: var(--soft) }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; background: var(--card) }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .5rem .75rem; vertical-align: top }
th { font-weight: 600; color: var(--soft); white-space: nowrap } tr + tr { border-top: 1px solid var(--line) }
code { font: 13px ui-monospace, monospace } .good { color: var(--good) } .bad { color: var(--bad) }
"""


def draw_status(report: dict[str, Any]) -> str:
    """The page for a status report."""
    ready = (
        '<strong class="good">ready</strong>'
        if report["ready"]
        else '<strong class="bad">not ready: no model is served</strong>'
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="10"><title>Homeostat inference</title><style>{_STYLE}</style></head>
<body><main><h1>Homeostat inference</h1>
<p>{ready} · up since {_text(_moment(report["started_at"]))} · {_text(report["device"])} ({_text(report["device_reason"])})</p>
<h2>Models</h2>{_models(report["models"])}
<h2>Release log</h2>{_facts(_release_log(report["release_log"]))}
<h2>Spool</h2>{_facts(_spool(report))}
<p>The same as <a href="/status.json">JSON</a>, and as <a href="/metrics">metrics</a>.</p>
</main></body></html>
"""


def _models(models: list[dict[str, Any]]) -> str:
    if not models:
        return "<p>None yet. <code>homeostat deploy</code> releases one.</p>"
    rows = "".join(f"<tr>{_model_cells(model)}</tr>" for model in models)
    heads = "".join(
        f"<th>{head}</th>"
        for head in ("model", "version", "generation", "device", "since", "released by", "last error")
    )
    return f'<div class="scroll"><table><tr>{heads}</tr>{rows}</table></div>'


def _model_cells(model: dict[str, Any]) -> str:
    texts = (
        _text(model["name"]),
        f"<code>{_text(model['version'][:12])}</code>" if model["version"] else "",
        str(model["generation"] or ""),
        _text(model["device"]),
        _text(_moment(model["since"])),
        _text(model["reason"]),
        _problem(model["last_error"]),
    )
    return "".join(f"<td>{text or '–'}</td>" for text in texts)


def _release_log(log: dict[str, Any]) -> list[tuple[str, str]]:
    age = log["seconds_since_read"]
    return [
        ("last read", "never" if age is None else f"{age:.1f} s ago"),
        ("last error", _problem(log["last_error"])),
    ]


def _spool(report: dict[str, Any]) -> list[tuple[str, str]]:
    spool = report["spool"]
    dropped = sum(count for models in spool["dropped"].values() for count in models.values())
    kept = sum(count for models in spool["appended"].values() for count in models.values())
    return [
        ("writer, epoch", f"<code>{_text(report['writer'])}</code>, {report['epoch']}"),
        ("waiting", f"{spool['bytes']:,} of {spool['bound']:,} bytes"),
        ("rows written", f"{kept:,}"),
        ("rows dropped", f'<span class="bad">{dropped:,}</span>' if dropped else "0"),
        ("last error", _problem(spool["last_error"])),
    ]


def _facts(facts: list[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in facts)
    return f'<div class="scroll"><table>{rows}</table></div>'


def _problem(problem: str) -> str:
    return f'<span class="bad">{_text(problem)}</span>' if problem else '<span class="good">none</span>'


def _moment(iso: str) -> str:
    return iso[:19].replace("T", " ") + " UTC" if iso else ""


def _text(value: object) -> str:
    return escape(str(value))
