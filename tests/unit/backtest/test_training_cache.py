from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from backtest.training_cache import TrainingCache
from shared.errors import TrainingFailed
from shared.models.training.training_process import TrainingJob, training_environment


class Writer:
    """Writes what the job reads to its output folder, and remembers the champion it was given."""

    def __init__(self) -> None:
        self.champions: list[str] = []
        self.fails = False

    def train(self, job: TrainingJob, stop: Event) -> None:
        self.champions.append(job.environment["HOMEOSTAT_CHAMPION"])
        if self.fails:
            raise TrainingFailed("no luck")
        rows = Path(job.environment["HOMEOSTAT_TRAIN"]).read_text()
        (Path(job.environment["HOMEOSTAT_OUT"]) / "model.onnx").write_text(f"model of {rows}")


class Place:
    """A project, training rows and a champion below a folder, and jobs on them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.project, self.count = folder, folder / "project", 0
        self.project.mkdir()
        (self.project / "train.py").write_text("print()")
        (folder / "rows").write_text("rows")
        (folder / "champion").mkdir()
        (folder / "champion" / "model.onnx").write_text("champion")
        (folder / "champion" / "manifest.json").write_text("policy 1")
        self.writer = Writer()

    def cache(self) -> TrainingCache:
        (self.folder / "cache").mkdir(exist_ok=True)
        return TrainingCache(self.writer, self.folder / "cache", (self.project / "history.parquet",))

    def job(self) -> TrainingJob:
        self.count += 1
        out = self.folder / f"out-{self.count}"
        out.mkdir()
        environment = training_environment(
            train=self.folder / "rows", out=out, champion=self.folder / "champion"
        )
        return TrainingJob(
            "run", ("python", "train.py"), self.project, environment, out / "log", timedelta(1)
        )

    def trained(self) -> tuple[int, str]:
        """How many commands were run for one more job, and what it got."""
        job, cache = self.job(), self.cache()
        cache.train(job, Event())
        return cache.trained, (Path(job.environment["HOMEOSTAT_OUT"]) / "model.onnx").read_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_known_training_is_copied(place: Place) -> None:
    assert place.trained() == (1, "model of rows")
    # Neither the policy nor the history is part of a training.
    (place.project / "loop.yaml").write_text("other")
    (place.project / "backtests.json").write_text("{}")
    (place.project / "history.parquet").write_text("other")
    (place.folder / "champion" / "model.onnx").write_text("other champion")
    assert place.trained() == (0, "model of rows")


def test_other_rows_command_or_project_are_trained(place: Place) -> None:
    assert place.trained()[0] == 1
    (place.folder / "rows").write_text("other rows")
    assert place.trained() == (1, "model of other rows")
    (place.project / "train.py").write_text("print(1)")
    assert place.trained()[0] == 1
    cache = place.cache()
    cache.train(replace(place.job(), command=("python", "train.py", "-v")), Event())
    assert cache.trained == 1


def test_the_champion_counts_where_the_project_reads_it(place: Place) -> None:
    assert place.trained()[0] == 1
    assert place.writer.champions == [""]
    (place.project / "train.py").write_text("import os; os.environ['HOMEOSTAT_CHAMPION']")
    assert place.trained()[0] == 1
    assert place.writer.champions[1] == str(place.folder / "champion")
    (place.folder / "champion" / "manifest.json").write_text("policy 2")
    assert place.trained()[0] == 0
    (place.folder / "champion" / "model.onnx").write_text("other champion")
    assert place.trained()[0] == 1


def test_a_failed_training_is_tried_again(place: Place) -> None:
    place.writer.fails = True
    with pytest.raises(TrainingFailed):
        place.trained()
    place.writer.fails = False
    assert place.trained()[0] == 1
