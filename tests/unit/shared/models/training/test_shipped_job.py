"""A training job with its files as bytes: run elsewhere, it gives what it gives here."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from shared.errors import OperatorError, TrainingFailed
from shared.models.training import shipped_job
from shared.models.training.confinement import Confinement
from shared.models.training.shipped_job import pack, run_packed, unpack
from shared.models.training.training_process import (
    Interrupted,
    TrainingJob,
    training_environment,
)

COPIES = """
import os, pathlib
out = pathlib.Path(os.environ["HOMEOSTAT_OUT"])
rows = pathlib.Path(os.environ["HOMEOSTAT_TRAIN"]).read_bytes()
champion = sorted(path.name for path in pathlib.Path(os.environ["HOMEOSTAT_CHAMPION"]).iterdir())
(out / "model.onnx").write_bytes(rows + pathlib.Path("part/data.txt").read_bytes())
(out / "more").mkdir()
(out / "more" / "note.txt").write_text(os.environ["GIVEN"])
print("champion", champion, "run", os.environ["HOMEOSTAT_RUN"])
"""
Make = Callable[..., TrainingJob]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A job of a project whose `train.py` is the given script."""

    def made(script: str, **changes: object) -> TrainingJob:
        project, run = tmp_path / "project", tmp_path / "runs" / "run-1"
        for folder in (project / "part", project / "__pycache__", run / "champion", run / "snapshot"):
            folder.mkdir(parents=True)
        (project / "train.py").write_text(script)
        (project / "part" / "data.txt").write_text("data")
        (project / "linked.txt").symlink_to(project / "part" / "data.txt")
        (project / "__pycache__" / "train.pyc").write_bytes(b"stale")
        (run / "champion" / "manifest.json").write_text("{}")
        (run / "snapshot" / "train.parquet").write_bytes(b"rows,")
        out = run / "attempts" / "1" / "out"
        out.mkdir(parents=True)
        environment = training_environment(
            train=run / "snapshot" / "train.parquet", out=out, champion=run / "champion"
        )
        job = TrainingJob(
            "run-1",
            ("python", "train.py"),
            project,
            {**environment, "GIVEN": "yes"},
            out.parent / "train.log",
            timedelta(seconds=30),
        )
        return replace(job, **changes)  # type: ignore[arg-type]

    return made


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return sorted(tar.getnames())


def test_job_gets_its_files_and_gives_back_what_it_made(make: Make) -> None:
    job = make(COPIES)
    package = pack(job)
    assert names(package) == [
        "champion/manifest.json",
        "job.json",
        "project/linked.txt",
        "project/part/data.txt",
        "project/train.py",
        "train/train.parquet",
    ]
    unpack(run_packed(package, Event()), job, where="there")
    out = job.attempts / "1" / "out"
    assert (out / "model.onnx").read_bytes() == b"rows,data"
    assert (out / "more" / "note.txt").read_text() == "yes"
    assert job.log.read_text() == "champion ['manifest.json'] run run-1\n"
    assert sorted(path.name for path in out.parent.iterdir()) == ["out", "train.log"]


def test_same_files_give_the_same_package(make: Make) -> None:
    job = make(COPIES)
    first = pack(job)
    (job.directory / "train.py").touch()
    assert pack(job) == first


def test_failure_comes_back_with_its_log(make: Make) -> None:
    job = make("print('about to fail'); raise SystemExit(3)")
    with pytest.raises(TrainingFailed, match="failed with exit code 3(.|\n)*about to fail") as found:
        unpack(run_packed(pack(job), Event()), job, where="worker 7")
    assert found.value.hint == f"its log is {job.log}; it ran on worker 7"
    assert job.log.read_text() == "about to fail\n"


def test_limits_hold_where_it_runs(make: Make) -> None:
    """Also holdouts that happen to be on that machine stay hidden."""
    script = "import os; print(open(os.environ['SECRET']).read(), len(bytearray(300 << 20)))"
    job = make(script, confinement=Confinement(memory_bytes=200 << 20))
    hidden = job.directory.parent / "evaluations"
    hidden.mkdir()
    (hidden / "holdout").write_text("holdout")
    job = replace(job, environment={**job.environment, "SECRET": str(hidden / "holdout")})
    with pytest.raises(TrainingFailed, match="memory"):
        unpack(run_packed(pack(job), Event()), job, where="there")
    again = job.attempts / "1" / "out"
    again.mkdir(exist_ok=True)
    with pytest.raises(TrainingFailed, match="Permission"):
        unpack(run_packed(pack(job, hidden=[hidden]), Event()), job, where="there")


def test_link_into_a_hidden_folder_is_not_sent(make: Make) -> None:
    """This process may read what a training may not."""
    job = make(COPIES)
    private = job.directory.parent / "private"
    private.mkdir()
    (private / "key").write_text("secret")
    (job.directory / "part" / "key").symlink_to(private / "key")
    with pytest.raises(TrainingFailed, match="part/key leads to .*/private/key, which no training may read"):
        pack(job, hidden=[private])
    # A project below a hidden folder may link to its own files.
    (job.directory / "part" / "key").unlink()
    assert "project/linked.txt" in names(pack(job, hidden=[job.directory.parent]))


def test_output_that_leads_elsewhere_is_not_sent_back(make: Make) -> None:
    """The worker may read what the command could not."""
    job = make(
        "import os, pathlib; out = pathlib.Path(os.environ['HOMEOSTAT_OUT'])\n"
        "(out / 'secret.txt').symlink_to(os.environ['SECRET']); (out / 'own.txt').symlink_to('/proc/self/status')\n"
        "pathlib.Path('model.onnx').write_text('m'); (out / 'model.onnx').symlink_to(pathlib.Path('model.onnx').resolve())"
    )
    secret = job.directory.parent / "holdout"
    secret.write_text("holdout")
    job = replace(job, environment={**job.environment, "SECRET": str(secret)})
    assert names(run_packed(pack(job), Event())) == ["out/model.onnx", "result.json", "train.log"]


def test_time_limit_and_stop_end_it(make: Make) -> None:
    job = make("import time; time.sleep(60)", time_limit=timedelta(seconds=0.5))
    with pytest.raises(TrainingFailed, match="exceeded its time limit"):
        unpack(run_packed(pack(job), Event()), job, where="there")
    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        run_packed(pack(job), stop)


def test_too_many_bytes_are_not_sent(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make(COPIES)
    monkeypatch.setattr(shipped_job, "MAXIMUM_BYTES", 3)
    with pytest.raises(TrainingFailed, match="not sent to a worker"):
        pack(job)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("../evil", tarfile.REGTYPE), ("/evil", tarfile.REGTYPE), ("out/evil", tarfile.SYMTYPE)],
)
def test_result_of_a_hostile_worker_writes_nowhere_else(make: Make, name: str, kind: bytes) -> None:
    job = make(COPIES)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    before = sorted(job.directory.parent.rglob("*"))
    with pytest.raises(TrainingFailed, match="no file below its folder"):
        unpack(content.getvalue(), job, where="there")
    assert sorted(job.directory.parent.rglob("*")) == before


def test_error_of_the_machine_stays_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OperatorError("the disk is full", hint="free some space")

    job = make(COPIES)
    monkeypatch.setattr(shipped_job, "run_training", full)
    with pytest.raises(OperatorError, match="the disk is full") as found:
        unpack(run_packed(pack(job), Event()), job, where="there")
    assert found.value.hint == "free some space"
