from __future__ import annotations

from services.drift.examination import Sample
from services.drift.reports import Reports
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, ordinary


class Remembering:
    """Draws nothing; keeps what it was given."""

    def __init__(self) -> None:
        self.thresholds: dict[str, float] = {}

    def draw(self, title: str, explanation: str, samples: list[Sample]) -> tuple[str, str]:
        self.thresholds = {sample.name: sample.threshold for sample in samples}
        return f"<html>{title}</html>", "{}"


def test_columns_the_verdict_has_scores_of_come_first(installation: Installation) -> None:
    world = installation.world
    manifest = world.version(loop(), ordinary(5000, 1))
    world.release(manifest)
    world.answer(manifest, 1, ordinary(720, 2))
    [reached] = installation.settle()
    kept = tuple(score for score in reached.scores if score.feature != "x")
    told = reached.model_copy(update={"verdict_id": "ab" * 16, "scores": kept})
    installation.verdicts.put(told)
    drawer = Remembering()
    reports = Reports(
        world.home / "reports", installation.verdicts, installation.references, installation.evidence, drawer
    )
    assert "toy" in reports.read(told.verdict_id, "html")
    assert list(drawer.thresholds) == ["score", "c", "x"]
    assert drawer.thresholds["c"] > 0
