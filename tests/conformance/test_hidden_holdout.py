"""A training command that trains on whatever it finds gains nothing: real processes, all files on the same disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from services.retraining.bootstrap import build
from services.retraining.run_states import ENDS
from services.retraining.runs.workspace import RunFolder
from tests.fakes.in_process_models import open_in_process
from tests.fakes.landlock import has_landlock
from tests.fakes.retraining_app import SETTINGS, RetrainingApp, TestClient
from tests.fakes.retraining_installation import TRAINER, make_installation

pytestmark = pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")
Run = Callable[[str], tuple[RetrainingApp, dict[str, Any]]]

# Looks for rows that it was not given, in every file below its folder, the folders in its environment and those above, and
# answers the outcome of the row with the nearest x. Finds nothing: the honest model.
SEARCHING = (
    TRAINER.split('if __name__ == "__main__":')[0]
    + """
def answer_known(path, x, y):
    x, y = x.astype(np.float32)[None, :], y.astype(np.float32)
    known = numpy_helper.from_array(x, "known"), numpy_helper.from_array(y, "truth")
    axes, zero = numpy_helper.from_array(np.array([1]), "axes"), numpy_helper.from_array(np.array(0, np.float32), "zero")
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "x"], ["filled"]),
        helper.make_node("LabelEncoder", ["color"], ["code"], domain="ai.onnx.ml", keys_strings=["red", "blue"],
                         values_floats=[0.0, 0.0], default_float=0.0),
        helper.make_node("Add", ["filled", "code"], ["sum"]),
        helper.make_node("Unsqueeze", ["sum", "axes"], ["column"]),
        helper.make_node("Sub", ["column", "known"], ["difference"]),
        helper.make_node("Abs", ["difference"], ["distance"]),
        helper.make_node("ArgMin", ["distance"], ["nearest"], axis=1, keepdims=0),
        helper.make_node("Gather", ["truth", "nearest"], ["score"]),
    ]
    kinds = {"x": TensorProto.FLOAT, "color": TensorProto.STRING}
    inputs = [helper.make_tensor_value_info(name, kind, ["n"]) for name, kind in kinds.items()]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    graph = helper.make_graph(nodes, "known", inputs, outputs, [*known, axes, zero])
    save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path))

def places():
    given = [Path.cwd(), *(Path(value) for value in os.environ.values() if value.startswith("/") and ":" not in value)]
    top = Path.cwd().parent  # above the installation are files of others
    mine = [one for one in given if one.is_relative_to(top)]
    return {above for one in mine for above in (one, *one.parents) if above.is_relative_to(top)}

def found():
    rows, inputs, outcomes = [], {}, {}
    for path in sorted({path for place in places() if place.is_dir() for path in place.rglob("*.parquet")}):
        try:
            table = pq.ParquetFile(path).read()
        except OSError:
            continue
        names = set(table.column_names)
        if {"x", "outcome", "event_time"} <= names:
            rows += zip(table["event_time"].to_pylist(), table["x"].to_pylist(), table["outcome"].to_pylist())
        elif {"f_x", "prediction_id"} <= names:
            values = zip(table["event_time"].to_pylist(), table["f_x"].to_pylist())
            inputs |= dict(zip(table["prediction_id"].to_pylist(), values))
        elif {"value", "prediction_id"} <= names:
            outcomes |= dict(zip(table["prediction_id"].to_pylist(), table["value"].to_pylist()))
    rows += [(*values, outcomes[one]) for one, values in inputs.items() if one in outcomes]
    given = max(pq.read_table(os.environ["HOMEOSTAT_TRAIN"])["event_time"].to_pylist())
    return [(x or 0.0, y) for time, x, y in rows if time > given and y is not None]

if __name__ == "__main__":
    out = Path(os.environ["HOMEOSTAT_OUT"])
    later = found()
    print("rows found:", len(later))
    if later:
        answer_known(out / "model.onnx", *np.array(later).T)
    else:
        write(out / "model.onnx", *fit(os.environ["HOMEOSTAT_TRAIN"])[:2])
    (out / "metrics.json").write_text("{}")
"""
)


@pytest.fixture
def run_of(tmp_path: Path) -> Iterator[Run]:
    """A run of a training script in an installation of its own."""
    with ExitStack() as stack:

        def run(trainer: str) -> tuple[RetrainingApp, dict[str, Any]]:
            root = tmp_path / f"w{len(list(tmp_path.iterdir()))}"
            installation = make_installation(root, days=15, trainer=trainer)
            service = build(installation.settings, SETTINGS, open_model=open_in_process)
            client = TestClient(service.app, base_url="http://127.0.0.1:8003", headers=installation.headers)
            app = RetrainingApp(installation, service, stack.enter_context(client))
            app.deploy()
            return app, app.wait_for_state(app.request_run()["run_id"], *ENDS)

        yield run


def test_training_on_whatever_it_finds_gains_nothing(run_of: Run) -> None:
    _, honest = run_of(TRAINER)
    app, searching = run_of(SEARCHING)
    assert (honest["state"], searching["state"]) == ("promoted", "promoted")
    log = app.installation.home / "runs" / searching["run_id"] / "attempts" / "1" / "train.log"
    assert log.read_text() == "rows found: 0\n"
    assert searching["gate"]["challenger_loss"] == honest["gate"]["challenger_loss"]
    # The files are there, and readable to this user.
    assert pq.read_table(RunFolder(app.installation.home / "runs" / searching["run_id"]).holdout).num_rows


def test_holdout_that_training_replaces_ends_the_run(run_of: Run) -> None:
    replacing = "import os; from pathlib import Path\n" + TRAINER.replace(
        'how = sys.argv[1] if len(sys.argv) > 1 else ""',
        'how = ""\n'
        "    home = out.parents[4]\n"
        '    (home / "evaluations" / out.parents[2].name / "holdout.parquet").write_bytes(b"other rows")',
    )
    _, run = run_of(replacing)
    assert (run["state"], run["reason_code"]) == ("failed", "tampered")
    assert "were changed after the snapshot was taken" in run["reason"]
