from __future__ import annotations

from services.drift.evaluation.evidently_adapter import Sample
from services.drift.http.reports import Reports
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, ordinary


class Remembering:
    """Draws nothing; keeps what it was given."""

    def __init__(self) -> None:
        self.thresholds: dict[str, float] = {}
        self.drawn = 0

    def draw(self, title: str, explanation: str, samples: list[Sample]) -> tuple[str, str]:
        self.drawn += 1
        self.thresholds = {sample.name: sample.threshold for sample in samples}
        return f"<html>{title}</html>", "{}"


def test_columns_the_verdict_has_scores_of_come_first(installation: Installation) -> None:
    world = installation.world
    manifest = world.version(loop(), ordinary(5000, 1))
    world.release(manifest)
    world.answer(manifest, 1, ordinary(720, 2))
    [reached] = installation.judged("inputs")
    kept = tuple(score for score in reached.scores if score.feature != "x")
    published = reached.model_copy(update={"verdict_id": "ab" * 16, "scores": kept})
    installation.verdicts.put(published)
    drawer = Remembering()
    reports = Reports(
        world.home / "reports",
        installation.verdicts,
        installation.references,
        installation.lake_reader,
        drawer,
    )
    assert "toy" in reports.read(published.verdict_id, "html")
    assert list(drawer.thresholds) == ["score", "c", "x"]
    assert drawer.thresholds["c"] > 0


def test_of_each_model_the_newest_reports_are_kept_and_others_drawn_again(installation: Installation) -> None:
    world = installation.world
    for model in ("toy", "other"):
        manifest = world.version(loop(model=model), ordinary(5000, 1), model)
        world.release(manifest)
        world.answer(manifest, 1, ordinary(360 * 5, 2))
    by_model: dict[str, list[str]] = {"toy": [], "other": []}
    for verdict in installation.settle():
        by_model[verdict.model].append(verdict.verdict_id)
    drawer = Remembering()
    reports = Reports(
        world.home / "reports",
        installation.verdicts,
        installation.references,
        installation.lake_reader,
        drawer,
        kept=2,
    )

    def files(model: str) -> set[str]:
        return {path.name for path in (world.home / "reports" / model).iterdir()}

    other = by_model["other"][0]
    reports.read(other, "html")
    first, second, third, *_ = by_model["toy"]
    (world.home / "reports" / "toy").mkdir()
    (world.home / "reports" / "toy" / f".{first}.html.4711").write_text("half a page")
    for verdict_id in (first, second, first, third):
        assert "toy" in reports.read(verdict_id, "html")
    assert files("toy") == {f"{kept}.{form}" for kept in (second, third) for form in ("html", "json")}
    assert files("other") == {f"{other}.html", f"{other}.json"}, "each model has its own"
    drawn = drawer.drawn
    assert "toy" in reports.read(first, "html")
    assert drawer.drawn == drawn + 1
    assert files("toy") == {f"{kept}.{form}" for kept in (third, first) for form in ("html", "json")}
