"""A training command that writes `model.pt2`: a run trains, judges and releases it as one that writes `model.onnx`."""

from __future__ import annotations

import re
from pathlib import Path

from shared.contracts.version_files.names import ARCHIVE
from tests.fakes.retraining_installation import MODEL, TRAINER, make_installation
from tests.fakes.retraining_service import ServiceProcess, wait_for

WRITE_PROGRAM = """
def write_program(path, slope, shift):
    import torch

    class Logistic(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("slope", torch.tensor(slope, dtype=torch.float32))
            self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32))

        def forward(self, x):
            filled = torch.where(torch.isnan(x), self.shift, x)
            return torch.sigmoid(filled * self.slope + self.shift)

    rows = {0: torch.export.Dim.DYNAMIC}
    program = torch.export.export(Logistic().eval(), (torch.ones(3),), dynamic_shapes=(rows,))
    torch.export.save(program, str(path))

if __name__ == "__main__":"""


def trainer() -> str:
    """The trainer of the other tests without its category, which torch does not have. The champion stays ONNX."""
    text = re.sub(r'helper.make_node\("LabelEncoder".*?default_float=0.0\),', "", TRAINER, flags=re.DOTALL)
    text = text.replace('"Add", ["scaled", "code"]', '"Identity", ["scaled"]')
    text = text.replace(', "color": TensorProto.STRING', "").replace(
        'write(out / "model.onnx"', 'write_program(out / "model.pt2"'
    )
    return text.replace('\nif __name__ == "__main__":', WRITE_PROGRAM)


def test_program_of_torch_is_retrained_and_promoted(tmp_path: Path) -> None:
    installation = make_installation(
        tmp_path,
        days=15,
        trainer=trainer(),
        features=[{"name": "x", "type": "number", "nullable": True}],
    )
    service = ServiceProcess(installation)
    try:
        service.start()
        service.deploy()
        trigger = {"model": MODEL, "reason": "please"}
        run_id = service.post("/triggers", trigger, expect=202)["causes"][0]["run_id"]
        wait_for(lambda: service.get(f"/runs/{run_id}")["ended_at"], 90, "the run to end")
        run = service.get(f"/runs/{run_id}")
        assert run["state"] == "promoted", run
    finally:
        service.end()
    release = installation.store.live_release(MODEL)
    assert release is not None
    assert release.run_id == run_id
    assert installation.store.manifest(MODEL, release.version).model_file == ARCHIVE
