"""The lower half of the page: verdicts, runs, decisions and releases as tables. Pure."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from services.console.aggregation.view_models import Decision, Release, Run, Score, Snapshot, Verdict
from services.console.formatting import age, clock, figure, short, times
from services.console.views.buttons import acknowledge_button
from services.console.views.charts import ratio_bar
from services.console.views.markup import Html, code, join, moment, table, tag
from services.console.views.overview_sections import section
from services.console.views.status_badges import sign

VERDICTS, RUNS, DECISIONS, RELEASES = 50, 20, 30, 20


def verdicts_section(snapshot: Snapshot) -> Html:
    """The newest verdicts."""
    rows = [_verdict(verdict) for verdict in snapshot.verdicts[:VERDICTS]]
    heads = ("State", "Window, event time", "Rows", "Score ÷ threshold", "Why", "Report")
    empty = "No verdict yet: drift judges a window once its rows are complete and their outcomes are due."
    return _list(snapshot, "verdicts", "Verdicts", "drift", heads, rows, empty, len(snapshot.verdicts))


def runs_section(snapshot: Snapshot) -> Html:
    """The newest runs, and every one that waits."""
    rows = [_run(run, snapshot.at) for run in snapshot.runs[:RUNS]]
    heads = ("State", "Run", "Gate", "Champion → challenger", "Began")
    empty = "No run yet: a decision to retrain begins one."
    return _list(snapshot, "runs", "Runs", "retraining", heads, rows, empty, len(snapshot.runs))


def decisions_section(snapshot: Snapshot) -> Html:
    """The newest decisions, also those to do nothing; and every one nobody has seen."""
    shown = [
        decision
        for index, decision in enumerate(snapshot.decisions)
        if index < DECISIONS or (decision.needs_acknowledgement and not decision.acknowledged_by)
    ]
    rows = [_decision(decision, snapshot.at) for decision in shown]
    heads = ("Decision", "Why", "Cause", "Decided", "Seen")
    empty = "No decision yet: every verdict leads to one, also to do nothing."
    return _list(
        snapshot, "decisions", "Decisions", "retraining", heads, rows, empty, len(snapshot.decisions)
    )


def releases_section(snapshot: Snapshot) -> Html:
    """The newest releases."""
    rows = [_release(release, snapshot.at) for release in snapshot.releases[:RELEASES]]
    heads = ("Generation", "Version", "Reason", "Who", "Note", "When")
    empty = "Nothing was released yet."
    return _list(snapshot, "releases", "Releases", "retraining", heads, rows, empty, len(snapshot.releases))


def _list(
    snapshot: Snapshot,
    identity: str,
    title: str,
    teller: str,
    heads: tuple[str, ...],
    rows: list[Html],
    empty: str,
    known: int,
) -> Html:
    stale = None
    if identity in snapshot.stale:
        at = snapshot.stale[identity]
        said = f"{teller} does not answer; " + (
            f"this is what it said {age(at, snapshot.at)}." if at else "nothing is known."
        )
        stale = tag("p", said, class_="stale")
        empty = ""
    if not rows:
        return section(identity, title, stale, tag("p", empty, class_="calm") if empty else None)
    caption = f"{title}, newest first" + (f": {len(rows)} of {known}" if known > len(rows) else "")
    return section(identity, title, stale, table(identity, caption, heads, rows))


def _row(*cells: object) -> Html:
    first, *others = cells
    return tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in others))


def _verdict(verdict: Verdict) -> Html:
    told = verdict.scores if any(score.exceeded for score in verdict.scores) else verdict.scores[:1]
    shown = [score for score in told if score.exceeded or score is told[0]]
    known = tag("small", f"{verdict.outcomes:,} known", class_="fixed") if verdict.outcomes else None
    return _row(
        join(sign(verdict.state), tag("small", _about(verdict.model, verdict.generation, verdict.detector))),
        tag("span", _window(verdict.window_start, verdict.window_end), class_="fixed"),
        join(f"{verdict.rows:,}", known),
        join(*(_score(score) for score in shown)) if shown else "–",
        "" if verdict.state == "ok" else join(verdict.explanation, _top_drifted_features(verdict)),
        tag(
            "a",
            "report",
            tag(
                "span",
                f" of {verdict.model}, window to {clock(verdict.window_end)}, {verdict.verdict_id[:8]}",
                class_="hidden",
            ),
            href=f"/reports/{quote(verdict.verdict_id, safe='')}",
            id=f"report-{verdict.verdict_id}",
        ),
    )


def _about(model: str, generation: int, detector: str) -> str:
    asked = ", asked for" if detector == "request" else ""
    return f"{model}, generation {generation}{asked}"


def _top_drifted_features(verdict: Verdict) -> Html | None:
    if not verdict.top_drifted_features:
        return None
    return tag("small", "top drifted features: ", ", ".join(verdict.top_drifted_features))


def _score(score: Score) -> Html:
    name = f"{score.feature} {score.method}" if score.feature else score.method
    told = f"{figure(score.value)} of {figure(score.threshold)}"
    if score.ratio is None:
        return tag("div", tag("small", f"{name} {told}"), class_="score")
    return tag(
        "div", ratio_bar(score.ratio), tag("small", f"{times(score.ratio)} {name}, {told}"), class_="score"
    )


def _run(run: Run, now: datetime) -> Html:
    gate = "–"
    if run.gate_passed is not None:
        gate = join(sign("passed" if run.gate_passed else "not passed"), " ", tag("span", run.gate))
    elif run.message:
        gate = run.message
    return _row(
        join(sign(run.state), tag("small", run.model)),
        code(run.run_id.removeprefix("run-")[:12], run.run_id),
        gate,
        join(code(short(run.champion)), " → ", code(short(run.version))),
        moment(run.created_at, now),
    )


def _decision(decision: Decision, now: datetime) -> Html:
    cause = " ".join(word for word in (decision.source, decision.cause_state) if word)
    seen: object = ""
    if decision.acknowledged_by:
        seen = join(
            f"{decision.acknowledged_by}, ",
            moment(decision.acknowledged_at, now),
            tag("small", decision.acknowledged_note) if decision.acknowledged_note else None,
        )
    elif decision.needs_acknowledgement:
        seen = acknowledge_button(decision)
    run = (
        tag("small", code(decision.run_id.removeprefix("run-")[:12], decision.run_id))
        if decision.run_id
        else None
    )
    return _row(
        join(sign(decision.verb), tag("small", f"{decision.model}, {decision.code.replace('_', ' ')}")),
        decision.sentence,
        join(cause, run),
        moment(decision.decided_at, now),
        seen,
    )


def _release(release: Release, now: datetime) -> Html:
    return _row(
        join(str(release.generation), tag("small", release.model)),
        code(short(release.version), release.version),
        sign(release.reason),
        release.actor,
        release.note,
        moment(release.released_at, now),
    )


def _window(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return "–"
    same = start.date() == end.date()
    return f"{clock(start)} – {clock(end)[11:] if same else clock(end)}"
