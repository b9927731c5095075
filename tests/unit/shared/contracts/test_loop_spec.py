"""`loop.yaml`: what is accepted, and that every refusal names the key and what was expected."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from shared.contracts.loop_spec import Drift, LoopSpec, Methods
from shared.contracts.loop_yaml import parse_loop_spec
from shared.contracts.prediction import check_metrics
from shared.contracts.retraining_spec import AllRows
from shared.errors import InvalidLoopSpec, ProjectError


def at(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """The document with another value at a dotted path; `...` takes the key away."""
    *parents, last = path.split(".")
    place: Any = document
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    key: Any = int(last) if isinstance(place, list) else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return document


def test_the_least_file_gets_careful_defaults(loop_spec: LoopSpec) -> None:
    assert loop_spec.automation == "suggest"
    assert loop_spec.require_performance().retraining.triggers == ()
    assert loop_spec.require_performance().retraining.window == AllRows(use="all")
    assert loop_spec.require_performance().retraining.time_limit == timedelta(minutes=30)
    assert loop_spec.require_performance().retraining.cooldown == timedelta(0)
    assert loop_spec.require_performance().retraining.budget is None
    assert loop_spec.require_performance().gate.confidence == 0.9
    assert loop_spec.feature("carrier").values == ("AA", "UA")
    with pytest.raises(KeyError):
        loop_spec.feature("weather")


def test_a_specification_survives_being_written_and_read(loop_document: dict[str, Any]) -> None:
    at(
        loop_document,
        "retraining.triggers",
        [{"when": "schedule", "every": "30d"}, {"when": "drift", "windows": 2}],
    )
    at(loop_document, "retraining.budget", {"runs": 3, "per": "90d"})
    at(loop_document, "retraining.window", {"use": "last", "span": "1234567s"})
    spec = LoopSpec.model_validate(loop_document)
    assert LoopSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_matrix_is_written_only_where_it_is_set(loop_document: dict[str, Any]) -> None:
    plain = LoopSpec.model_validate(loop_document)
    assert "matrix" not in plain.model_dump(mode="json")
    assert plain.matrix_columns == ()
    spec = LoopSpec.model_validate(at(loop_document, "matrix.input", "X"))
    assert spec.model_dump(mode="json")["matrix"] == {"input": "X", "features": []}
    assert LoopSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert "carrier" not in spec.matrix_columns
    assert spec.matrix_columns
    with pytest.raises(ValidationError, match="matrix.features names weather, which is not a feature"):
        LoopSpec.model_validate(at(loop_document, "matrix.features", ["weather"]))


def classes(*labels: Any) -> dict[str, Any]:
    return {"kind": "classes", "labels": list(labels)}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("model", "Flights", "model is 'Flights'; expected lowercase letters"),
        ("model", "../flights", "model is '../flights'; expected lowercase letters"),
        ("model", ..., "model is missing"),
        ("features", [], "features: "),
        ("features.0.type", "float", "features.0.type (feature distance)"),
        ("features.1.name", "distance", "features named twice (capitals do not count): distance"),
        ("features.1.name", "Distance", "features named twice (capitals do not count): Distance, distance"),
        (
            "metric.name",
            "rmse",
            "metric rmse does not fit a prediction of kind probability: use brier, log_loss",
        ),
        (
            "prediction.kind",
            "value",
            "metric log_loss does not fit a prediction of kind value: use mae, rmse",
        ),
        (
            "metric.name",
            "accuracy",
            "metric.name: a metric is a loss, smaller is better: use error_rate (1 - accuracy)",
        ),
        ("metric.name", "macro_f1", "metric.name: it is not a mean over rows"),
        ("prediction", {"kind": "classes"}, "prediction: a prediction of kind classes needs `labels`"),
        (
            "prediction",
            {"kind": "probability", "labels": ["a", "b"]},
            "kind classes needs `labels`, and no other kind has them",
        ),
        ("prediction", classes("a"), "`labels` has from 2 to 1000 entries"),
        ("prediction", classes(*range(1001)), "`labels` has from 2 to 1000 entries"),
        ("prediction", classes("a", "b", "a"), "`labels` names a twice"),
        ("prediction", classes("a", 1), "`labels` are all text or all integers"),
        ("prediction", classes("a", True), "prediction.labels.1: YAML reads an unquoted yes, no, on or off"),
        ("prediction", classes(0, 1.5), "prediction.labels.1: a label is text or an integer, got 1.5"),
        ("prediction", classes("a", " b"), "without spaces at its ends, got ' b'"),
        ("prediction", classes("a", "b\nc"), "printable characters"),
        ("prediction", classes("a", ""), "a label is 1 to 100 printable characters"),
        ("prediction", classes("a", "b" * 101), "a label is 1 to 100 printable characters"),
        ("prediction", classes(0, 2**63), "a label is at most a 64-bit integer"),
        ("metric.floor", float("inf"), "metric.floor"),
        ("retraining.triggers", [{"when": "floor"}], "a trigger when: floor needs metric.floor"),
        ("retraining.triggers", [{"when": "moon"}], "retraining.triggers.0"),
        (
            "retraining.triggers",
            [{"when": "schedule", "every": "0d"}],
            "retraining.triggers.0.every is '0d'; expected more than 0 s",
        ),
        ("retraining.command", [], "retraining.command"),
        ("retraining.command", "python train.py", "retraining.command"),
        ("retraining.time_limit", "0s", "retraining.time_limit"),
        ("retraining.window", {"use": "last"}, "exactly one of `span` and `rows`"),
        ("retraining.window", {"use": "last", "span": "7d", "rows": 100}, "exactly one of `span` and `rows`"),
        ("retraining.budget", {"runs": 0, "per": "30d"}, "retraining.budget.runs"),
        ("retraining.budget", {"runs": 1, "per": "0d"}, "retraining.budget.per"),
        ("drift.window", {}, "exactly one of `every` (event time) and `rows`"),
        ("drift.window", {"every": "7d", "rows": 100}, "exactly one of `every` (event time) and `rows`"),
        ("drift.window", {"every": "0d"}, "drift.window.every"),
        ("drift.false_alarms_per_30_days", 0, "drift.false_alarms_per_30_days"),
        ("gate.holdout", "0d", "gate.holdout"),
        ("gate.confidence", 1, "gate.confidence is 1; expected less than 1"),
        (
            "automation",
            "yolo",
            "automation is 'yolo'; expected one of observe, suggest, retrain, approve, auto",
        ),
        ("outcome.delay", 3600, "outcome.delay: expected a duration such as 90m or 7d, got 3600"),
        (
            "retrain",
            {},
            "loop.yaml: retrain is not a known key; known keys are model, description, features, ",
        ),
        (
            "retraining.triggers",
            [{"when": "worse_than_first", "tolerence": 1}],
            "retraining.triggers.0.tolerence is not a known key; known keys are when, tolerance",
        ),
        (
            "retraining.triggers",
            [{"when": "drft"}],
            "retraining.triggers.0.when is 'drft'; expected one of drift, floor, schedule, new_rows",
        ),
        ("retraining.window", {"use": "last"}, "loop.yaml: retraining.window: give exactly one of"),
        ("retraining.command", [], "retraining.command: expected at least 1 entry"),
        ("metric.name", "mae", "loop.yaml: metric mae does not fit a prediction"),
        ("gate.confidence", 2, "gate.confidence is 2; expected less than 1"),
    ],
)
def test_a_refusal_names_the_key(
    loop_document: dict[str, Any], path: str, value: object, expected: str
) -> None:
    text = yaml.safe_dump(at(loop_document, path, value))
    with pytest.raises(InvalidLoopSpec) as refusal:
        parse_loop_spec(text)
    assert expected in refusal.value.message
    assert refusal.value.message.startswith("loop.yaml: ")
    assert refusal.value.hint


def of_classes(document: dict[str, Any], metric: str = "log_loss", **changes: Any) -> dict[str, Any]:
    return {**document, "prediction": classes("cat", "dog"), "metric": {"name": metric}, **changes}


@pytest.mark.parametrize("metric", ["log_loss", "error_rate"])
def test_classes_are_measured_by_a_loss_of_classes(loop_document: dict[str, Any], metric: str) -> None:
    spec = LoopSpec.model_validate(of_classes(loop_document, metric))
    assert (spec.prediction.labels, spec.require_performance().metric.name) == (("cat", "dog"), metric)
    with pytest.raises(
        ValidationError, match="brier does not fit a prediction of kind classes: use error_rate"
    ):
        LoopSpec.model_validate(of_classes(loop_document, "brier"))


def test_a_model_with_classes_needs_its_columns_itself(loop_document: dict[str, Any]) -> None:
    features = [{"name": "label", "type": "number"}]
    assert LoopSpec.model_validate({**loop_document, "features": features}).features[0].name == "label"
    with pytest.raises(ValidationError, match="feature name 'label' is reserved in a model of kind classes"):
        LoopSpec.model_validate(of_classes(loop_document, features=features))


def test_labels_are_read_as_they_were_written(loop_document: dict[str, Any]) -> None:
    for labels in (("3", "5"), (3, 5)):
        document = of_classes(loop_document, prediction=classes(*labels))
        spec = LoopSpec.model_validate(document)
        again = LoopSpec.model_validate(spec.model_dump(mode="json"))
        assert again.prediction.labels == labels
        assert [type(label) for label in again.prediction.labels] == [type(label) for label in labels]


def test_other_kinds_are_written_without_labels(loop_spec: LoopSpec) -> None:
    assert loop_spec.model_dump(mode="json")["prediction"] == {"kind": "probability", "output": ""}


def test_unquoted_no_in_values_is_refused_with_a_hint(loop_document: dict[str, Any]) -> None:
    text = yaml.safe_dump(loop_document).replace("- AA", "- NO")
    with pytest.raises(
        InvalidLoopSpec,
        match=r"features.1.values.0 .feature carrier.*is false; expected text.*put it in quotes",
    ):
        parse_loop_spec(text)
    assert parse_loop_spec(text.replace("- NO", '- "NO"')).feature("carrier").values == ("NO", "UA")


def test_on_cannot_be_meant_as_the_key_of_a_trigger(loop_document: dict[str, Any]) -> None:
    text = yaml.safe_dump(loop_document) + "\n"
    text = text.replace("retraining:\n", "retraining:\n  triggers:\n  - on: drift\n")
    with pytest.raises(InvalidLoopSpec, match=r"retraining.triggers.0.when is missing"):
        parse_loop_spec(text)


def without_loss(document: dict[str, Any], prediction: dict[str, Any]) -> dict[str, Any]:
    kept = ("model", "features", "drift")
    return {key: document[key] for key in kept} | {"prediction": prediction}


@pytest.mark.parametrize("prediction", [{"kind": "embedding", "size": 4}, {"kind": "tensor"}])
def test_kind_without_loss_needs_features_and_drift_only(
    loop_document: dict[str, Any], prediction: dict[str, Any]
) -> None:
    spec = parse_loop_spec(yaml.safe_dump(without_loss(loop_document, prediction)))
    assert (spec.performance, spec.automation) == (None, "observe")
    with pytest.raises(ProjectError, match=f"is of kind {prediction['kind']}, which has no loss"):
        spec.require_performance()
    written = spec.model_dump(mode="json")
    assert not {"outcome", "metric", "retraining", "gate"} & set(written)
    assert LoopSpec.model_validate(written) == spec


@pytest.mark.parametrize("key", ["outcome", "metric", "retraining", "gate"])
def test_kind_with_loss_needs_every_part(loop_document: dict[str, Any], key: str) -> None:
    del loop_document[key]
    with pytest.raises(InvalidLoopSpec, match=f"loop.yaml: {key} is missing"):
        parse_loop_spec(yaml.safe_dump(loop_document))


def test_version_of_kind_tensor_from_before_keeps_its_bytes(loop_document: dict[str, Any]) -> None:
    """Such a manifest has a metric that nothing was ever computed with."""
    before = {
        **loop_document,
        "prediction": {"kind": "tensor"},
        "metric": {"name": "mae"},
        "automation": "auto",
    }
    spec = LoopSpec.model_validate(before)
    assert spec.performance is None
    written = spec.model_dump(mode="json")
    assert written["prediction"] == {"kind": "tensor", "output": ""}
    assert set(written) == {*before, "description"}
    assert LoopSpec.model_validate(written).model_dump(mode="json") == written


@pytest.mark.parametrize("kind", [{"kind": "values", "names": ["a", "b"]}, {"kind": "embedding", "size": 2}])
def test_a_column_of_answers_is_no_feature(loop_document: dict[str, Any], kind: dict[str, Any]) -> None:
    document = without_loss(loop_document, kind) | {"features": [{"name": "scores", "type": "number"}]}
    with pytest.raises(ValidationError, match=f"'scores' is reserved in a model of kind {kind['kind']}"):
        LoopSpec.model_validate(document)


def test_variables_of_training_are_names_and_no_settings(loop_document: dict[str, Any]) -> None:
    before = LoopSpec.model_validate(loop_document)
    assert "environment" not in before.model_dump(mode="json")["retraining"], (
        "older manifests keep their bytes"
    )
    loop_document["retraining"]["environment"] = ["AWS_PROFILE", "_x"]
    spec = LoopSpec.model_validate(loop_document)
    assert LoopSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert spec.require_performance().retraining.environment == ("AWS_PROFILE", "_x")
    for wrong in ("HOMEOSTAT_GRAFANA_TOKEN", "homeostat_x", "A=B", "", "1A", "A\n"):
        loop_document["retraining"]["environment"] = [wrong]
        with pytest.raises(ValidationError):
            LoopSpec.model_validate(loop_document)


def test_version_from_before_limits_of_training_keeps_its_bytes(loop_document: dict[str, Any]) -> None:
    assert "training" not in LoopSpec.model_validate(loop_document).model_dump(mode="json")
    limited = LoopSpec.model_validate({**loop_document, "training": {"cpu_time": "90s", "network": "none"}})
    assert LoopSpec.model_validate(limited.model_dump(mode="json")) == limited
    for wrong in ({"memory_mib": 1}, {"network": "some"}, {"cpu_time": "0s"}, {"memory": 512}):
        with pytest.raises(ValidationError):
            LoopSpec.model_validate({**loop_document, "training": wrong})


def test_version_from_before_launchers_keeps_its_bytes(loop_document: dict[str, Any]) -> None:
    limited = LoopSpec.model_validate({**loop_document, "training": {"memory_mib": 512}})
    assert limited.model_dump(mode="json")["training"].keys() == {"memory_mib", "cpu_time", "network"}
    remote = {"launcher": "dask", "resources": {"GPU": 1, "nvidia.com/gpu": 0.5}}
    asked = LoopSpec.model_validate({**loop_document, "training": remote})
    assert LoopSpec.model_validate(asked.model_dump(mode="json")) == asked
    for wrong in (
        {"launcher": "ray"},
        {"launcher": "dask", "resources": {"GPU": 0}},
        {"resources": {"GPU": 1}},
    ):
        with pytest.raises(ValidationError):
            LoopSpec.model_validate({**loop_document, "training": wrong})


def test_default_methods_are_not_written(loop_spec: LoopSpec) -> None:
    assert "methods" not in loop_spec.model_dump()["drift"]
    chosen = loop_spec.model_copy(
        update={"drift": Drift(window=loop_spec.drift.window, methods=Methods(number="ks"))}
    )
    assert LoopSpec.model_validate(chosen.model_dump()).drift.methods.number == "ks"


@pytest.mark.parametrize(
    ("kind", "metrics", "message"),
    [
        (
            "probability",
            ["auc", "mae"],
            "metrics.1 is 'mae', which does not fit a prediction of kind probability: use log",
        ),
        ("value", ["mae", "quantile_loss"], r"metrics.1 is 'quantile_loss'; expected its quantile too"),
        ("value", ["quantile_loss(1.5)"], r"metrics.0 is 'quantile_loss\(1.5\)', which does not fit"),
        ("value", ["quantile_loss(0.0)"], r"metrics.0 is 'quantile_loss\(0.0\)', which does not fit"),
        ("value", ["mae", "mae"], "metrics names mae twice"),
        ("embedding", ["mae"], "use none, since such a prediction is not compared with outcomes"),
    ],
)
def test_metrics_fit_the_kind_of_prediction(kind: str, metrics: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_metrics(tuple(metrics), kind)


def test_metrics_are_written_only_where_there_are_some(loop_document: dict[str, Any]) -> None:
    assert "metrics" not in LoopSpec.model_validate(loop_document).model_dump(mode="json")
    spec = LoopSpec.model_validate(at(loop_document, "metrics", ["auc", "f1"]))
    assert spec.model_dump(mode="json")["metrics"] == ["auc", "f1"]
    with pytest.raises(ValidationError, match=r"metrics.0 is 'accurate', which does not fit"):
        LoopSpec.model_validate(at(loop_document, "metrics", ["accurate"]))
