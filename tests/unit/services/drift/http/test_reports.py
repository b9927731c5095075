from __future__ import annotations

from services.drift.evaluation.evidently_adapter import Drawn, Heading, Sample
from services.drift.http.reports import metric_texts
from shared.contracts.verdict import MetricValue
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, ordinary


class Remembering:
    """Draws nothing; keeps what it was given."""

    def __init__(self) -> None:
        self.thresholds: dict[str, float] = {}
        self.drawn = 0

    def prepare(self, seconds: float) -> None:
        pass

    def draw(self, heading: Heading, samples: list[Sample]) -> Drawn:
        self.drawn += 1
        self.thresholds = {sample.name: sample.threshold for sample in samples}
        return Drawn(f"<html>{heading.title}</html>", "{}", "{}")


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
    reports = installation.reports(drawer)
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
    reports = installation.reports(drawer, kept=2)

    def files(model: str) -> set[str]:
        return {path.name for path in (world.home / "reports" / model).iterdir()}

    other = by_model["other"][0]
    reports.read(other, "html")
    first, second, third, *_ = by_model["toy"]
    for verdict_id in (first, second, first, third):
        assert "toy" in reports.read(verdict_id, "html")
    forms = ("html", "json", "evidently.json")
    assert files("toy") == {f"{kept}.{form}" for kept in (second, third) for form in forms}
    assert files("other") == {f"{other}.{form}" for form in forms}, "each model has its own"
    drawn = drawer.drawn
    assert "toy" in reports.read(first, "html")
    assert drawer.drawn == drawn + 1
    assert files("toy") == {f"{kept}.{form}" for kept in (third, first) for form in forms}


def test_report_of_a_revised_verdict_is_drawn_anew(installation: Installation) -> None:
    world = installation.world
    manifest = world.version(loop(), ordinary(5000, 1))
    world.release(manifest)
    world.answer(manifest, 1, ordinary(720, 2))
    [reached, *_] = installation.judged("performance")
    reports = installation.reports(Remembering())
    assert reports.read(reached.verdict_id, "html").endswith(
        f": {reached.state} (version {reached.version[:12]})</html>"
    )
    revised = reached.model_copy(update={"revision": 2, "state": "drift", "drifted": ("performance",)})
    assert reached.state != revised.state
    assert installation.verdicts.revise(revised, 1)
    assert ": drift (" in reports.read(reached.verdict_id, "html")
    [kept] = reports.store.reports("toy")
    assert (kept.report_id, kept.verdict_id) == (f"{reached.verdict_id}-2", reached.verdict_id)


def test_a_report_states_metrics_and_slices_beside_the_reference(installation: Installation) -> None:
    auc = MetricValue(name="auc", value=0.71, reference=0.74, outcomes=300)
    loss = MetricValue(name="log_loss", slice="c=a", value=None, reference=0.5, outcomes=30)
    manifest = installation.world.version(loop(), ordinary(5000, 1))
    installation.world.release(manifest)
    installation.world.answer(manifest, 1, ordinary(720, 2))
    verdict = installation.judged()[0].model_copy(update={"metrics": (auc, loss)})
    assert metric_texts(verdict) == [
        "Metrics (300 outcomes): auc 0.71 (reference 0.74)",
        "Slice c=a (30 outcomes): log_loss unknown (reference 0.5)",
    ]
