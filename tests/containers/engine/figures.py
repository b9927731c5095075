"""The figures of a walk, as the last section of docs/containers.md shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

BEGIN, END = "<!-- figures of `make containers`: begin -->", "<!-- figures of `make containers`: end -->"


def render(figures: Mapping[str, Any]) -> str:
    """A sentence and a table: one line for each image, with the memory of its container after the demo."""
    seconds, stand_ins = figures["seconds"], figures["stand_ins"]
    bases = (
        f"Stand-ins: {', '.join(f'`{name}`' for name in stand_ins)}."
        if stand_ins
        else "All base images were the official ones."
    )
    lines = [
        f"Measured by a walk of {figures['checks']} checks, {len(figures['failed'])} failed, "
        f"at a load of {figures['load']:.0f} on {figures['cores']} cores: images built in",
        f"{seconds['build'] / 60:.1f} minutes, first start healthy after {seconds['up']:.0f} s, "
        f"demo {seconds['demo'] / 60:.1f} minutes, stop {seconds['stop']:.0f} s,",
        f"all of it {seconds['all'] / 60:.0f} minutes. {bases}",
        "",
        "| image | size, MB, with the official base | memory after the demo |",
        "|---|---|---|",
    ]
    memory = figures["memory"]
    lines += [
        f"| `{name}` | {size} | {memory.get(name, '–')} |" for name, size in figures["sizes_mb"].items()
    ]
    lines += [
        f"| `{name}`, not ours | – | {memory[name]} |" for name in ("kafka", "postgres") if name in memory
    ]
    return "\n".join(lines)


def replaced(page: str, text: str) -> str:
    """The page with `text` between its two marks."""
    return re.sub(
        f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n{text}\n{END}", page, flags=re.DOTALL
    )


def sizes_in(page: str) -> dict[str, int]:
    """The sizes that the page gives, in MB, by image."""
    section = page.split(BEGIN)[1].split(END)[0]
    return {name: int(size) for name, size in re.findall(r"^\| `(\w+)` \| (\d+) \|", section, re.MULTILINE)}
