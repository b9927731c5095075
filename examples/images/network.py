"""A residual network for pictures: a small one that a CPU trains in seconds, and one of ResNet-50's size for a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

LABELS_COUNT = 4


@dataclass(frozen=True)
class Size:
    """`width`: channels of the first stage, doubled at each following one. `blocks`: residual blocks per stage."""

    width: int
    blocks: tuple[int, ...]
    expansion: int  # channels at a block's end, as a multiple of those inside of it


SIZES = {
    "small": Size(16, (1, 1, 1), 1),
    # He et al., "Deep Residual Learning for Image Recognition", 2016, table 1: 50 layers, 25 million weights.
    "resnet50": Size(64, (3, 4, 6, 3), 4),
}


class Block(nn.Module):
    """A bottleneck with a shortcut around it (He et al. 2016, figure 5); the 3x3 convolution carries the stride."""

    def __init__(self, channels: int, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, inside, 1, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU(),
            nn.Conv2d(inside, inside, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU(),
            nn.Conv2d(inside, outside, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        same = stride == 1 and channels == outside
        self.shortcut: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(
                nn.Conv2d(channels, outside, 1, stride=stride, bias=False), nn.BatchNorm2d(outside)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features [N, C, H, W] to features [N, outside, H / stride, W / stride]."""
        return torch.relu(self.layers(x) + self.shortcut(x))


class ResidualNetwork(nn.Module):
    """Pictures [N, 3, H, W] from 0 to 255, to one probability per label [N, 4]."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        stages: list[nn.Module] = [
            nn.Conv2d(3, size.width, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(size.width),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        channels = size.width
        for stage, blocks in enumerate(size.blocks):
            inside = size.width * 2**stage
            for block in range(blocks):
                outside = inside * size.expansion
                stages.append(Block(channels, inside, outside, 2 if block == 0 and stage else 1))
                channels = outside
        self.stages = nn.Sequential(*stages)
        self.last = nn.Linear(channels, LABELS_COUNT)

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Before the softmax, as the loss wants them. The largest value of a channel counts, since a fault is small."""
        return self.last(self.stages(image / 255).amax(dim=(2, 3)))  # type: ignore[no-any-return]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Probabilities."""
        return torch.softmax(self.logits(image), dim=1)


def write_onnx(network: ResidualNetwork, path: Path, shape: tuple[int, int, int]) -> None:
    """Write the network as ONNX: input `image` [N, *shape], output `probabilities` [N, 4]."""
    network.eval()
    torch.onnx.export(
        network,
        (torch.zeros(2, *shape),),
        str(path),
        input_names=["image"],
        output_names=["probabilities"],
        dynamic_shapes=({0: torch.export.Dim("rows", min=1)},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
