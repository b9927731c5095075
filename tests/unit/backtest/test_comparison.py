from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtest.comparison import Request, compare_policies
from backtest.history import make_history
from backtest.page import render_page
from backtest.policy import Policy, project_policy, read_policy
from backtest.result import BacktestResult
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import CallerError
from shared.models.losses import row_losses
from shared.models.runners.model_runner import ModelRunner
from tests.fakes.backtest_project import START, TURN, make_project
from tests.fakes.in_process_models import open_in_process

DAY = timedelta(days=1)


def request_of(project: Path, cache: Path, *policies: str) -> Request:
    loop = read_loop_spec(project)
    history = make_history(pq.read_table(project / "history.parquet"), loop)
    found: list[Policy] = [project_policy(loop)]
    for number, text in enumerate(policies):
        path = cache.parent / f"policy-{number}.yaml"
        path.write_text(text)
        found.append(read_policy(path, loop))
    return Request(project, history, tuple(found), cache, hidden=(project / "history.parquet",), niceness=0)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[Request, BacktestResult]:
    """The project's policy, which trains every ten days, and one that never trains."""
    folder = tmp_path_factory.mktemp("backtest")
    # Phases before a promotion take time that a replay does not have: a challenger answers at once.
    rollout = {"shadow": "6h", "canary": {"share": 0.1, "duration": "2d"}}
    project = make_project(folder / "project", rollout=rollout)
    request = request_of(project, folder / "cache", "retraining: {triggers: []}\n")
    request = replace(request, grid=timedelta(days=15))
    return request, compare_policies(request, open_model=open_in_process)


def test_each_policy_acts_as_the_running_loop_would(tried: tuple[Request, BacktestResult]) -> None:
    _, result = tried
    scheduled, never = result.policies
    # The first version's last row is of day 1.5, and windows of two days begin when it serves, on day 3.7.
    assert [(run.trigger, run.state) for run in scheduled.runs] == [
        ("schedule", "refused"),
        ("schedule", "promoted"),
    ]
    days = [(run.event_time - START) / timedelta(days=1) for run in scheduled.runs]
    assert days[0] == pytest.approx(11.8, abs=0.1)
    assert days[1] == pytest.approx(21.8, abs=0.1)
    assert [run.rows for run in scheduled.runs] == [200, 200]
    assert (scheduled.trainings, scheduled.promotions, len(scheduled.promoted_at)) == (2, 1, 1)
    assert (never.trainings, never.promotions, never.runs) == (0, 0, ())
    assert (
        scheduled.verdicts == 22
    )  # inputs and performance of nine windows of the first version, and of two of the second


def test_losses_are_those_of_what_was_served(tried: tuple[Request, BacktestResult]) -> None:
    request, result = tried
    scheduled, never = result.policies
    assert never.loss == result.frozen_loss
    turned = [
        loss for moment, loss in result.over_time([(0, result.frozen)], 20) if (moment - START).days > TURN
    ]
    assert min(turned) > 0.75  # worse than a coin
    served = [
        loss
        for moment, loss in result.over_time(scheduled.served, 20)
        if moment > scheduled.promoted_at[0] + DAY
    ]
    assert max(served) < 0.65
    # Rows from the promotion on are answered by the second model, all before by the first.
    first = scheduled.served[1][0]
    total = scheduled.served[0][1][:first].sum() + scheduled.served[1][1][first:].sum()
    assert scheduled.loss == pytest.approx(total / result.rows, abs=1e-12)
    assert result.rows == len(request.history) - request.history.after_time(result.start)
    # The losses are the metric's, of the model that the training command wrote.
    outcome = request.history.rows["outcome"].to_numpy()[-result.rows :]
    assert set(np.unique(outcome)) == {0.0, 1.0}
    assert result.frozen.min() >= row_losses("log_loss", np.array([1.0]), np.array([1.0]))[0]


def test_costs_and_regret_are_against_the_best_schedule(tried: tuple[Request, BacktestResult]) -> None:
    _, result = tried
    scheduled, never = result.policies
    assert scheduled.cost == pytest.approx(0.1 * scheduled.loss * result.rows + 20 * 2)
    assert never.cost == pytest.approx(0.1 * never.loss * result.rows)
    for one in result.policies:
        assert one.regret == pytest.approx(one.cost - one.best_cost)
        assert one.regret > 0
    # First version, two runs, and the additional training on day 18.7, which no policy made.
    assert result.candidates == 4
    assert [round((moment - START) / timedelta(days=1), 1) for moment in scheduled.best_trainings] == [18.7]


def test_the_same_trainings_are_not_done_again(tried: tuple[Request, BacktestResult]) -> None:
    request, result = tried
    assert (result.trained, result.reused) == (4, 0)
    again = compare_policies(request, open_model=open_in_process)
    assert (again.trained, again.reused) == (0, 4)
    assert [again.digest(one) for one in again.policies] == [result.digest(one) for one in result.policies]
    assert [path for path in request.cache.iterdir() if path.name.startswith("replay-")] == []


def test_the_page_escapes_names(tried: tuple[Request, BacktestResult]) -> None:
    _, result = tried
    named = replace(result.policies[0].policy, name="<script>alert(1)</script>")
    page = render_page(replace(result, policies=(replace(result.policies[0], policy=named),)))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<circle") == 1
    assert page.count("<polyline") == 2


def test_a_start_after_the_last_row_is_refused(tried: tuple[Request, BacktestResult]) -> None:
    request, _ = tried
    with pytest.raises(CallerError, match="no row comes after 2026-02-01"):
        compare_policies(replace(request, start=START + timedelta(days=31)))


def test_a_start_after_the_last_outcome_is_refused_before_anything_is_trained(
    tried: tuple[Request, BacktestResult], tmp_path: Path
) -> None:
    request, _ = tried
    rows = pq.read_table(request.project / "history.parquet")
    outcome = rows["outcome"].to_numpy().copy()
    outcome[-3:] = np.nan
    rows = rows.set_column(rows.schema.get_field_index("outcome"), "outcome", pa.array(outcome))
    history = make_history(rows, request.policies[0].loop)
    start = history.end - timedelta(minutes=20)
    with pytest.raises(CallerError, match=r"no row after 2026-01-26 .* has an outcome") as raised:
        compare_policies(replace(request, history=history, start=start, cache=tmp_path / "cache"))
    assert "earlier --start" in raised.value.hint
    assert not (tmp_path / "cache").exists()


def test_a_model_that_cannot_be_served_fails_its_run_and_the_replay_goes_on(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    program = (project / "train.py").read_text()
    from_day_6_on = 'if pq.read_table(os.environ["HOMEOSTAT_TRAIN"])["event_time"][-1].as_py().day > 5:'
    (project / "train.py").write_text(program.replace('if how == "broken":', from_day_6_on))
    request = replace(request_of(project, tmp_path / "cache"), grid=timedelta(days=15))
    result = compare_policies(request, open_model=open_in_process)
    (policy,) = result.policies
    assert [(run.state, run.trained, run.model) for run in policy.runs] == [("failed", True, None)] * 2
    assert (policy.loss, policy.trainings, policy.promotions) == (result.frozen_loss, 2, 0)
    assert result.candidates == 1


def test_a_full_disk_ends_the_back_test(tmp_path: Path) -> None:
    request = request_of(make_project(tmp_path / "project"), tmp_path / "cache")
    opened: list[Path] = []

    @contextmanager
    def open_until_full(path: Path, spec: LoopSpec, doing: str) -> Iterator[ModelRunner]:
        opened.append(path)
        if "policy-0" in path.parts:
            raise OSError(errno.ENOSPC, "No space left on device")
        with open_in_process(path, spec, doing) as model:
            yield model

    with pytest.raises(OSError, match="No space left on device"):
        compare_policies(request, open_model=open_until_full)
    assert len([path for path in opened if "policy-0" in path.parts]) == 1
    assert [path for path in request.cache.iterdir() if path.name.startswith("replay-")] == []
