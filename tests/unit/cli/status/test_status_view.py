"""The tables and lines of `homeostat status`."""

from __future__ import annotations

import pytest

from cli.status.model_overview import ModelOverview
from cli.status.status_view import issue_lines, models_table, waiting_lines, watch_lines


def test_baseline_loss_is_labelled_first_version() -> None:
    table = models_table((ModelOverview(name="a", served_loss=0.51, baseline_loss=0.57),))
    shown = {str(column.header): list(column.cells) for column in table.columns}
    assert (shown["served loss"], shown["first version's loss"]) == (["0.5100"], ["0.5700"])


@pytest.mark.parametrize(
    ("generation", "expected"),
    [(2, "[red]drift[/] (generation 2)"), (3, "[red]drift[/]"), (0, "[red]drift[/]")],
)
def test_verdict_of_an_earlier_generation_names_it(generation: int, expected: str) -> None:
    model = ModelOverview(name="a", generation=3, state="drift", verdict_generation=generation)
    [shown] = [list(column.cells) for column in models_table((model,)).columns if column.header == "state"]
    assert shown == [expected]


def test_windows_without_rows_are_noted_beside_the_verdict() -> None:
    model = ModelOverview(name="a", state="ok", window_end="2013-02-08", empty_until="2013-02-15T00:00:00Z")
    table = models_table((model,))
    [shown] = [list(column.cells) for column in table.columns if column.header == "state"]
    assert shown == ["[green]ok[/], no rows until 2013-02-15T00:00"]


def test_both_clocks_and_the_outcomes_are_shown() -> None:
    model = ModelOverview(
        name="a",
        state="not_judged",
        inputs="ok",
        performance="not_judged",
        outcomes="no outcomes since 2013-02-01",
    )
    shown = {str(column.header): list(column.cells) for column in models_table((model,)).columns}
    assert [shown[name] for name in ("state", "inputs", "performance", "outcomes")] == [
        ["[yellow]not_judged[/]"],
        ["[green]ok[/]"],
        ["[yellow]not_judged[/]"],
        ["no outcomes since 2013-02-01"],
    ]


def test_last_alarm_of_the_stream_is_shown_with_its_time() -> None:
    models = (
        ModelOverview(name="a", alarm="data_fault", alarm_at="2013-02-07T09:30:00Z"),
        ModelOverview(name="b"),
    )
    [shown] = [list(column.cells) for column in models_table(models).columns if column.header == "last alarm"]
    assert shown == ["[magenta]data_fault[/] 2013-02-07T09:30", "–"]


def test_waiting_run_is_shown_with_the_approving_command() -> None:
    waiting = {"run_id": "run-1", "model": "a", "state": "suggested", "cause_reason": "dest drifted."}
    assert waiting_lines([waiting]).splitlines() == [
        "1 run waits for approval:",
        "  a, suggested: `homeostat approve run-1` starts it. Cause: dest drifted",
    ]


def test_many_waiting_runs_are_cut() -> None:
    lines = waiting_lines([{"run_id": f"run-{number}", "state": "suggested"} for number in range(7)])
    assert lines.splitlines()[0] == "7 runs wait for approval:"
    assert lines.count("homeostat approve") == 5
    assert lines.endswith("`homeostat runs` lists the others")


def test_unacknowledged_decisions_are_shown_with_the_next_commands() -> None:
    group = {
        "model": "fraud",
        "issue": "drift",
        "count": 1,
        "since": "2013-01-15T00:00:00+00:00",
        "newest_key": "0123456789abcdef",
        "reason": "automation is observe; would retrain: performance drifted.",
    }
    several = {**group, "issue": "data_fault", "count": 3, "reason": "amount is missing in 40 % of the rows"}
    assert issue_lines([group, several], " --home h").splitlines() == [
        "needs a person:",
        "  fraud, drift: automation is observe; would retrain: performance drifted.",
        "    `homeostat report fraud --home h` shows the verdicts; `homeostat acknowledge 0123456789ab --home h` "
        "records that you have seen it",
        "  fraud, data_fault, 3 decisions since 2013-01-15: amount is missing in 40 % of the rows.",
        "    `homeostat report fraud --home h` shows the verdicts; `homeostat acknowledge 0123456789ab --and-older --home h` "
        "records that you have seen it",
    ]


def test_a_release_that_turned_out_worse_is_named_with_what_came_of_it() -> None:
    models = tuple(
        ModelOverview(name=state, watch=state, watch_reason="log_loss 0.6, before 0.5")
        for state in ("rolled_back", "worse", "failed", "kept", "watching", "")
    )
    assert watch_lines(models).splitlines() == [
        "rolled_back: the loop rolled the last release back (log_loss 0.6, before 0.5)",
        "worse: the deployed version is worse than the one before it (log_loss 0.6, before 0.5); "
        "`homeostat rollback worse` restores that one",
        "failed: the served version is worse than the one before it and could not be rolled back (log_loss 0.6, before 0.5)",
    ]
    shown = {str(column.header): list(column.cells) for column in models_table(models).columns}
    assert shown["watch"] == ["rolled back", "worse", "failed", "kept", "watching", "–"]
