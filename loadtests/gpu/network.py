"""ResNet-50 (He et al., 2015, https://arxiv.org/abs/1512.03385) with seeded random weights: in ONNX, and in float64.

Batch normalization is folded into the convolutions, as exports for inference have it. The network is a list of steps, from which
both forms are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
# A block adds this share of what it computes, so that numbers keep their size through all of them.
_BRANCH_SCALE = 0.3


@dataclass(frozen=True)
class Size:
    """Pixels of an image's side, channels and blocks of each stage, numbers of the answer."""

    name: str
    side: int
    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    answers: int


RESNET50 = Size("resnet50", 224, (64, 128, 256, 512), (3, 4, 6, 3), 1000)
SMALL = Size("small", 32, (8, 16), (1, 1), 10)


@dataclass(frozen=True)
class Step:
    """An operator, what it reads, its result, and its window for convolutions and pooling."""

    kind: str
    reads: tuple[str, ...]
    result: str
    kernel: int = 1
    stride: int = 1


@dataclass(frozen=True)
class Network:
    """Steps and their weights."""

    size: Size
    steps: list[Step]
    weights: Mapping[str, Array]

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of an image."""
        return (3, self.size.side, self.size.side)


def make_network(size: Size, *, seed: int = 7) -> Network:
    """The network of this size; always the same for a seed."""
    maker = _Maker(np.random.default_rng(seed))
    last = maker.convolution("x", 3, size.channels[0], kernel=7, stride=2)
    last = maker.step("maxpool", (last,), kernel=3, stride=2)
    before = size.channels[0]
    for stage, (channels, blocks) in enumerate(zip(size.channels, size.blocks, strict=True)):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 0 else 1
            last = maker.bottleneck(last, before, channels, stride)
            before = 4 * channels
    last = maker.step("mean", (last,))
    maker.weights["wd"] = maker.random.normal(0, before**-0.5, (before, size.answers)).astype(np.float32)
    maker.weights["bd"] = maker.random.normal(0, 0.1, size.answers).astype(np.float32)
    maker.steps.append(Step("dense", (last, "wd", "bd"), "y"))
    return Network(size, maker.steps, maker.weights)


def images(network: Network, count: int, *, seed: int = 11) -> npt.NDArray[np.float32]:
    """Seeded rows."""
    return np.random.default_rng(seed).normal(0, 1, (count, *network.row_shape)).astype(np.float32)


class _Maker:
    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.steps: list[Step] = []
        self.weights: dict[str, Array] = {}

    def step(self, kind: str, reads: tuple[str, ...], *, kernel: int = 1, stride: int = 1) -> str:
        result = f"t{len(self.steps)}"
        self.steps.append(Step(kind, reads, result, kernel, stride))
        return result

    def convolution(
        self,
        before: str,
        inside: int,
        outside: int,
        *,
        kernel: int,
        stride: int = 1,
        scale: float = 1.0,
        relu: bool = True,
    ) -> str:
        number = len(self.steps)
        deviation = scale * (2 / (inside * kernel**2)) ** 0.5
        shape = (outside, inside, kernel, kernel)
        self.weights[f"w{number}"] = self.random.normal(0, deviation, shape).astype(np.float32)
        self.weights[f"b{number}"] = self.random.normal(0, 0.05, outside).astype(np.float32)
        result = self.step("conv", (before, f"w{number}", f"b{number}"), kernel=kernel, stride=stride)
        return self.step("relu", (result,)) if relu else result

    def bottleneck(self, before: str, inside: int, channels: int, stride: int) -> str:
        inner = self.convolution(before, inside, channels, kernel=1)
        inner = self.convolution(inner, channels, channels, kernel=3, stride=stride)
        inner = self.convolution(inner, channels, 4 * channels, kernel=1, scale=_BRANCH_SCALE, relu=False)
        if inside != 4 * channels or stride > 1:
            before = self.convolution(
                before, inside, 4 * channels, kernel=1, stride=stride, scale=0.5**0.5, relu=False
            )
        return self.step("relu", (self.step("add", (inner, before)),))


def to_onnx(network: Network) -> bytes:
    """The network as an ONNX file: x [N, 3, side, side] to y [N, answers]."""
    nodes = []
    for step in network.steps:
        window: dict[str, Any] = {
            "kernel_shape": [step.kernel] * 2,
            "strides": [step.stride] * 2,
            "pads": [step.kernel // 2] * 4,
        }
        if step.kind == "mean":
            nodes.append(helper.make_node("GlobalAveragePool", step.reads, [f"{step.result}p"]))
            nodes.append(helper.make_node("Flatten", [f"{step.result}p"], [step.result]))
        else:
            name = {"conv": "Conv", "relu": "Relu", "add": "Add", "maxpool": "MaxPool", "dense": "Gemm"}[
                step.kind
            ]
            attributes = window if step.kind in ("conv", "maxpool") else {}
            nodes.append(helper.make_node(name, step.reads, [step.result], **attributes))
    graph = helper.make_graph(
        nodes,
        network.size.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *network.row_shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", network.size.answers])],
        [numpy_helper.from_array(values, name) for name, values in network.weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    raw: bytes = model.SerializeToString()
    return raw


def run_in_float64(network: Network, rows: Array) -> Array:
    """The answers in float64 on the CPU, by torch: neither the runtime nor the number type of what is compared with it."""
    import torch
    from torch.nn import functional

    values = {name: torch.from_numpy(array.astype(np.float64)) for name, array in network.weights.items()}
    values["x"] = torch.from_numpy(rows.astype(np.float64))
    for step in network.steps:
        read = [values[name] for name in step.reads]
        match step.kind:
            case "conv":
                image, weights, bias = read
                result = functional.conv2d(image, weights, bias, step.stride, step.kernel // 2)
            case "maxpool":
                result = functional.max_pool2d(read[0], step.kernel, step.stride, step.kernel // 2)
            case "relu":
                result = torch.relu(read[0])
            case "add":
                result = read[0] + read[1]
            case "mean":
                result = read[0].mean(dim=(2, 3))
            case _:
                result = read[0] @ read[1] + read[2]
        values[step.result] = result
    answers: Array = values["y"].numpy()
    return answers
