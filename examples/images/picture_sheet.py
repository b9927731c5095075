"""A sheet of pictures for people: each label, from the camera as installed, and after the lamp has faded."""

from __future__ import annotations

from pathlib import Path

from examples.images.camera import FADED, Camera
from examples.images.data import LABELS, draw

CAMERAS = {"as installed": Camera(), "lamp faded": Camera(light=FADED)}


def write_sheet(path: Path, seed: int) -> None:
    """Draw with matplotlib, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = 2 * len(LABELS)
    figure, rows = pyplot.subplots(len(CAMERAS), columns, figsize=(1.4 * columns, 1.7 * len(CAMERAS)))
    for (name, camera), axes in zip(CAMERAS.items(), rows, strict=True):
        shown = [label for label in LABELS for _ in range(2)]
        for axis, label, picture in zip(axes, shown, draw(shown, seed, camera), strict=True):
            axis.imshow(picture.transpose(1, 2, 0).astype("uint8"))
            axis.set_title(f"{label}, {name}", fontsize=7)
            axis.axis("off")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
