"""Programs that torch wrote answer as torch does; and what the check of a file cannot see is refused when it runs."""

from __future__ import annotations

import logging
import math
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shared.errors import UnservableModel
from shared.models.torch_archive.torch_model import TorchModel
from tests.e2e.walking import program
from tests.fakes.torch_archive import SAMPLE_INPUTS, archive, members, step, tensor, zipped


def feeds() -> dict[str, Any]:
    return {"amount": np.array([1.5, -1.0], np.float32), "count": np.array([3, 4])}


def saved(module: Any, *inputs: Any) -> bytes:
    """The archive of a module, with a free row axis."""
    file = BytesIO()
    free = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    torch.export.save(torch.export.export(module.eval(), inputs, dynamic_shapes=free), file)
    return file.getvalue()


class Layers(torch.nn.Module):
    """Convolution, normalisation, dropout, attention with masks, tied weights, shapes that are computed, several outputs."""

    def __init__(self) -> None:
        super().__init__()
        nn = torch.nn
        self.pixels = nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.5),
        )
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 8)
        self.again = nn.Linear(8, 8)
        self.again.weight = self.head.weight
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 16).reshape(4, 4).t(), persistent=False)

    def forward(self, image: Any, code: Any) -> dict[str, Any]:
        seen = self.pixels(image).reshape(image.shape[0], 4, 8)
        mask = torch.ones(4, 4, dtype=torch.bool).triu(1)
        scores = (seen @ seen.transpose(1, 2)).masked_fill(mask, -math.inf).softmax(-1)
        seen = self.norm(scores @ seen + self.attention(seen, seen, seen, need_weights=False)[0])
        first, second = seen.chunk(2, dim=2)
        top, _ = torch.cat([first * self.scale, second], 2).max(dim=1)
        wide = self.again(torch.nn.functional.gelu(self.head(top), approximate="tanh"))
        rows = torch.arange(image.shape[0], device=image.device) % 1
        picked = wide[rows + torch.arange(wide.shape[0], device=image.device), code.remainder(8)]
        return {"probabilities": wide.softmax(1), "picked": picked.double()}


def test_program_answers_as_its_module() -> None:
    torch.manual_seed(4)
    module = Layers()
    image, code = torch.randn(3, 3, 12, 12), torch.tensor([1, 9, 30])
    model = TorchModel(saved(module, image, code))
    assert [(one.name, one.kind, one.shape) for one in model.outputs] == [
        ("probabilities", "tensor(float)", (None, 8)),
        ("picked", "tensor(double)", (None,)),
    ]
    for rows in (1, 3, 7):
        image, code = torch.randn(rows, 3, 12, 12), torch.randint(0, 99, (rows,))
        with torch.no_grad():
            wanted = module(image, code)
        for name, one in wanted.items():
            found = model.run(name, {"image": image.numpy(), "code": code.numpy()})
            np.testing.assert_allclose(found, one.numpy(), rtol=1e-5, atol=1e-6)
            assert found.dtype == one.numpy().dtype
    tied = [one for one in model._module.buffers() if one.shape == (8, 8)]
    assert len(tied) > len({one.data_ptr() for one in tied})


def test_program_of_the_documentation_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written: dict[str, Any] = {}
    exec(program("docs/bring-your-own-model.md", "# torch_program.py"), written)
    model = TorchModel((tmp_path / "model.pt2").read_bytes())
    assert [(one.name, one.kind) for one in model.inputs] == [
        ("distance_km", "tensor(float)"),
        ("parcels_today", "tensor(int64)"),
    ]
    wanted = written["program"].module()(*written["rows"]).detach().numpy()
    given = dict(zip(("distance_km", "parcels_today"), (one.numpy() for one in written["rows"]), strict=True))
    np.testing.assert_allclose(model.run("scores", given), wanted, rtol=1e-6)


def test_program_written_by_hand_runs() -> None:
    np.testing.assert_array_equal(
        TorchModel(archive()).run("scores", feeds()), np.array([6.0, 2.0], np.float32)
    )


def test_overload_that_torch_lacks_is_refused() -> None:
    def change(document: Any) -> None:
        document["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.mul.nothing"

    with pytest.raises(UnservableModel, match=r"has no operator mul\.nothing"):
        TorchModel(archive(change))


@pytest.mark.parametrize("changed", ["p_weight", "amount"])
def test_program_that_changes_what_it_is_given_is_refused(changed: str) -> None:
    """The next call would answer otherwise, and the log would hold another row than was sent."""

    def change(document: Any) -> None:
        nodes = document["graph_module"]["graph"]["nodes"]
        view = step("torch.ops.aten.view_as.default", "view", tensor(changed), tensor(changed))
        nodes[:0] = [view, step("torch.ops.aten.add_.Scalar", "more", tensor("view"), {"as_int": 1})]

    model = TorchModel(archive(change))
    with pytest.raises(UnservableModel, match="changes its inputs or weights"):
        model.run("scores", feeds())


def test_failing_program_says_why() -> None:
    model = TorchModel(archive())
    with pytest.raises(UnservableModel, match="the model failed: The size of tensor a"):
        model.run("scores", {"amount": np.zeros(3, np.float32), "count": np.zeros(2, np.int64)})


def test_torch_without_cuda_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UnservableModel, match="cannot use CUDA"):
        TorchModel(archive(), device="cuda")


def test_without_torch_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnservableModel, match=r"needs torch.*homeostat\[torch\]"):
        TorchModel(archive())


def test_archive_that_runs_code_in_torch_runs_none_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The control: torch.export.load does run the pickle of the example inputs."""
    mark = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (mark,)

    file = BytesIO()
    torch.save((Trap(),), file)
    content = zipped(members() | {SAMPLE_INPUTS: file.getvalue()})
    assert TorchModel(content).run("scores", feeds()).tolist() == [6.0, 2.0]
    assert not mark.exists()
    with (
        caplog.at_level(logging.CRITICAL),
        suppress(Exception),
    ):  # it ran, whatever torch then says about the rest
        torch.export.load(BytesIO(content))
    assert mark.exists()
