"""A back-test: every policy on the same history, and the best schedule in hindsight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

from backtest.first_version import Trainer
from backtest.history import History, default_start
from backtest.policy import Policy
from backtest.regret import Candidate, best_in_hindsight, distinct, served_loss
from backtest.result import BacktestResult, PolicyResult
from backtest.scored_models import ScoredModels
from backtest.simulation import Setting, Simulated, simulate
from backtest.training_cache import TrainingCache
from backtest.work_folder import work_folder
from services.retraining.isolated_models import IsolatedModels, OpenModel
from services.retraining.launchers.hidden_folders import folders_with_rows
from services.retraining.launchers.local_launcher import LocalLauncher
from services.retraining.settings import RetrainingSettings
from shared.contracts.event_time import from_micros
from shared.errors import CallerError, ProjectError, TrainingFailed
from shared.models.losses import in_unit
from shared.settings import HomeostatSettings

# Receives what is going on, and how much of all histories is replayed: from 0 to 1.
Progress = Callable[[str, float], None]
NICENESS = 10


@dataclass(frozen=True)
class Request:
    """What to back-test. `cache`: where trainings are kept; `hidden`: files and folders with rows that no training
    command may read; `ignored`: other files that no training depends on, such as policies.

    `start`: when the first version begins to serve, None for the earliest time. `grid`: length between additional trainings that
    only the best schedule may use, None for none. `sample_rows`: rows of a window that are compared for drift.
    """

    project: Path
    history: History
    policies: tuple[Policy, ...]
    cache: Path
    hidden: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()
    start: datetime | None = None
    grid: timedelta | None = None
    sample_rows: int = 5000
    niceness: int = NICENESS


def places_with_rows(settings: HomeostatSettings, files: Sequence[Path]) -> tuple[Path, ...]:
    """What `Request.hidden` must name: the folders that the service hides, and these files."""
    return (*folders_with_rows(settings), *files)


def compare_policies(
    request: Request, on_progress: Progress = lambda *_: None, open_model: OpenModel | None = None
) -> BacktestResult:
    """Replay the history under each policy. The first policy's loop.yaml says how the first version is trained.

    `open_model`: how models are loaded; by default each in a process of its own.

    Raises ProjectError where the history is too short, TrainingFailed where the first training fails, and what the pipeline's
    models raise.
    """
    base, history = request.policies[0].loop, request.history
    start = request.start or default_start(history, base)
    first = history.after_time(start)
    if first >= len(history):
        raise CallerError(
            f"no row comes after {start:%Y-%m-%d %H:%M}, when the first version would begin to serve",
            hint="give an earlier --start",
        )
    isolated = IsolatedModels(seconds=3600.0, memory_bytes=0, is_stopped=Event().is_set)
    open_model = open_model or isolated.open
    scored = ScoredModels(history, base, first, open_model)
    if not scored.has_outcome.any():
        raise CallerError(
            f"no row after {start:%Y-%m-%d %H:%M}, when the first version would begin to serve, has an outcome",
            hint="give an earlier --start, or rows with outcomes",
        )
    request.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    cache = TrainingCache(
        LocalLauncher(niceness=request.niceness, hidden=(request.cache, *request.hidden)),
        request.cache,
        ignored=(*request.hidden, *request.ignored),
    )
    retraining = RetrainingSettings(project_roots=str(request.project), mlflow=False, listen=True)
    trainer = Trainer(request.project, cache, open_model, retraining.reference_rows, history)
    with work_folder(request.cache) as work:
        on_progress("training the first version", 0.0)
        first_version = trainer.train_at(base, start, 0, work, "first")
        setting = Setting(
            request.project,
            history,
            start,
            first,
            first_version,
            scored,
            cache,
            open_model,
            retraining,
            request.sample_rows,
        )
        done = []
        for number, policy in enumerate(request.policies):

            def moved(moment: datetime, number: int = number, name: str = policy.name) -> None:
                share = (moment - start) / max(history.end - start, timedelta(microseconds=1))
                on_progress(f"{name}, {moment:%Y-%m-%d}", (number + share) / len(request.policies))

            done.append(simulate(setting, policy, work / f"policy-{number}", moved))
        extra = _trained_on_grid(request, trainer, scored, start, first, work, on_progress)
        return _result(request, done, extra, scored, start, first, cache, first_version.rows)


def _trained_on_grid(
    request: Request,
    trainer: Trainer,
    scored: ScoredModels,
    start: datetime,
    first: int,
    work: Path,
    on_progress: Progress,
) -> list[Candidate]:
    """Models trained at regular times, as a request would have them trained; where the rows do not suffice, none."""
    found: list[Candidate] = []
    moment = start
    while request.grid is not None and (moment := moment + request.grid) < request.history.end:
        on_progress(f"training of {moment:%Y-%m-%d}, for the best schedule", 1.0)
        try:
            trained = trainer.train_at(
                request.policies[0].loop, moment, first, work, f"grid-{moment:%Y%m%d%H%M%S}"
            )
            model = scored.of(trained.model)
        except (ProjectError, TrainingFailed):
            continue
        found.append(Candidate(model.digest, request.history.after_time(moment) - first, model.losses))
    return found


def _result(
    request: Request,
    done: Sequence[Simulated],
    extra: Sequence[Candidate],
    scored: ScoredModels,
    start: datetime,
    first: int,
    cache: TrainingCache,
    first_version_rows: int,
) -> BacktestResult:
    metric = request.policies[0].loop.require_performance().metric.name
    rows = int(scored.has_outcome.sum())
    frozen = done[0].served[0][1]
    trained = [
        Candidate(run.model.digest, run.first - first, run.model.losses)
        for one in done
        for run in one.runs
        if run.model is not None and run.first < len(request.history)
    ]
    candidates = distinct([Candidate(frozen.digest, 0, frozen.losses), *trained, *extra])
    results = []
    for one in done:
        costs, trainings = one.policy.costs, sum(run.trained for run in one.runs)
        losses = tuple((number - first, model.losses) for number, model in one.served)
        loss = served_loss(losses)
        best = best_in_hindsight(candidates, costs)
        cost = costs.loss * loss + costs.training * trainings
        results.append(
            PolicyResult(
                policy=one.policy,
                loss=in_unit(metric, loss / rows),
                trainings=trainings,
                cost=cost,
                regret=max(0.0, cost - best.cost),
                best_cost=best.cost,
                best_trainings=tuple(
                    from_micros(int(request.history.times[first + candidates[model].first]))
                    for model in best.models[1:]
                ),
                verdicts=one.verdicts,
                runs=one.runs,
                promoted_at=tuple(
                    from_micros(int(request.history.times[number])) for number, _ in one.served[1:]
                ),
                served=losses,
            )
        )
    return BacktestResult(
        model=request.policies[0].loop.model,
        metric=metric,
        start=start,
        end=request.history.end,
        rows=rows,
        first_version_rows=first_version_rows,
        frozen_loss=in_unit(metric, float(frozen.losses.sum()) / rows),
        frozen=frozen.losses,
        times=request.history.times[first:],
        has_outcome=scored.has_outcome,
        candidates=len(candidates),
        trained=cache.trained,
        reused=cache.reused,
        policies=tuple(results),
    )
