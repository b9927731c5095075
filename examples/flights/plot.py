"""Plot of the weekly log-loss, first version against served versions, as PNG and HTML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

WIDTH, HEIGHT, LEFT, BOTTOM = 900, 360, 60, 40
COLOURS = {"first": "#b0413e", "served": "#1b6ca8"}


def weekly(times: pd.Series, losses: dict[str, npt.NDArray[np.float64]]) -> pd.DataFrame:
    """Mean loss per week, one column per name, indexed by the week's first day."""
    frame = pd.DataFrame(losses, index=pd.DatetimeIndex(times))
    return frame.resample("7D").mean().dropna()


def write_png(weeks: pd.DataFrame, releases: list[pd.Timestamp], path: Path) -> None:
    """Draw with matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 3.6), dpi=120)
    for name, column in weeks.items():
        axes.plot(weeks.index, column, label=str(name), color=COLOURS[str(name)])
    for moment in releases:
        axes.axvline(moment, color="grey", linewidth=0.6, linestyle=":")  # type: ignore[arg-type]
    axes.set_ylabel("log-loss, weekly mean")
    axes.set_title("First version kept all year, and what was served (dotted: a release)")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def write_html(weeks: pd.DataFrame, releases: list[pd.Timestamp], path: Path) -> None:
    """Draw as inline SVG: the page needs nothing from outside."""
    first, last = weeks.index[0], weeks.index[-1]
    span: float = max((last - first).total_seconds(), 1.0)
    top, low = float(weeks.max().max()) + 0.02, float(weeks.min().min()) - 0.02

    def across(moment: pd.Timestamp) -> float:
        return LEFT + float((moment - first).total_seconds()) / span * (WIDTH - LEFT - 20)

    def up(loss: float) -> float:
        return 20.0 + (top - loss) / (top - low) * (HEIGHT - 20.0 - BOTTOM)

    parts = []
    for moment in releases:
        x = across(moment)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="{HEIGHT - BOTTOM}" stroke="#bbb" stroke-dasharray="2 3"/>'
        )
    for loss in np.linspace(low, top, 5):
        parts.append(f'<text x="8" y="{up(loss) + 4:.1f}">{loss:.2f}</text>')
    for moment in pd.date_range(first, last, freq="MS"):
        parts.append(f'<text x="{across(moment):.1f}" y="{HEIGHT - 14}">{moment:%b}</text>')
    for place, (name, column) in enumerate(weeks.items()):
        points = " ".join(
            f"{across(moment):.1f},{up(loss):.1f}" for moment, loss in zip(weeks.index, column, strict=True)
        )
        colour = COLOURS[str(name)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{WIDTH - 110}" y="{40 + 18 * place}" fill="{colour}">{name}</text>')
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>First version against served versions</title>"
        "<style>body{font:14px sans-serif;margin:2em}text{font-size:12px}</style>"
        "<h1>Weekly log-loss: the first version kept all year, and what was served</h1>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">{"".join(parts)}</svg>'
        "<p>Smaller is better. Dotted lines are releases.</p></html>\n",
        encoding="utf-8",
    )
