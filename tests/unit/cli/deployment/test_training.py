"""The training command on one machine: its environment, its limit, and what it owes."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from cli.deployment.training import read_metrics, train
from shared.contracts.loop_spec import LoopSpec, parse_loop_spec
from shared.errors import ProjectError, TrainingFailed

LOOP = """
model: toy
features: [{{name: size, type: number}}]
prediction: {{kind: value}}
outcome: {{delay: 1h}}
metric: {{name: mae}}
drift: {{window: {{every: 1d}}}}
retraining: {{command: [sh, -c, '{script}'], time_limit: {limit}}}
gate: {{holdout: 1d}}
"""


def loop(script: str, limit: str = "20s") -> LoopSpec:
    return parse_loop_spec(LOOP.format(script=script, limit=limit))


def run(folder: Path, spec: LoopSpec) -> dict[str, float]:
    return train(
        folder,
        spec,
        train=folder / "train.parquet",
        holdout=folder / "holdout.parquet",
        out=folder / "out",
        log=folder / "train.log",
    )


def test_it_finds_its_folders_and_its_metrics_are_read(tmp_path: Path) -> None:
    script = (
        'echo "$HOMEOSTAT_TRAIN $HOMEOSTAT_HOLDOUT [$HOMEOSTAT_CHAMPION]"; cd $HOMEOSTAT_OUT; '
        'echo x > model.onnx; echo "{\\"mae\\": 2}" > metrics.json'
    )
    assert run(tmp_path, loop(script)) == {"mae": 2.0}
    assert (
        tmp_path / "train.log"
    ).read_text() == f"{tmp_path / 'train.parquet'} {tmp_path / 'holdout.parquet'} []\n"


def test_its_last_words_are_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="ended with status 3: the data is odd") as raised:
        run(tmp_path, loop("echo the data is odd >&2; exit 3"))
    assert "train.log" in raised.value.hint


def test_what_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(TrainingFailed, match="took longer than 1 s"):
        run(tmp_path, loop("sleep 60 & echo $! > child; wait", limit="1s"))
    assert time.monotonic() - began < 20
    child = int((tmp_path / "child").read_text())
    ends = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < ends, "the child of the training command still runs"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("[1]", "holds no JSON object"),
        ('{"mae": "low"}', "mae is 'low'"),
        ('{"mae": true}', "mae is True"),
        ('{"mae": NaN}', "cannot be read"),
    ],
)
def test_metrics_that_are_no_numbers_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ProjectError) as raised:
        read_metrics(tmp_path / "metrics.json")
    assert said in raised.value.message
