"""`loop.yaml`: what is accepted, and that every refusal names the key and what was expected."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.contracts.loop_spec import (
    RESERVED_NAMES,
    AllRows,
    Duration,
    Feature,
    LoopSpec,
    parse_loop_spec,
    read_loop_spec,
)
from shared.errors import InvalidLoopSpec

DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


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
    assert loop_spec.retraining.triggers == ()
    assert loop_spec.retraining.window == AllRows(use="all")
    assert loop_spec.retraining.time_limit == timedelta(minutes=30)
    assert loop_spec.retraining.cooldown == timedelta(0)
    assert loop_spec.retraining.budget is None
    assert loop_spec.gate.confidence == 0.9
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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("90m", 5400),
        ("1.5h", 5400),
        ("7d", 604800),
        (" 7 d ", 604800),
        ("0d", 0),
        ("0.25s", 0.25),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert DURATION.validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["7", "d", "", "7w", "-1d", "1d2h", "P7D", "1e3s", "7 days", 7, 7.5, True, None]
)
def test_what_is_no_duration_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValidationError, match="such as 90m or 7d"):
        DURATION.validate_python(text)


def test_a_duration_beyond_a_lifetime_is_refused_and_does_not_overflow() -> None:
    with pytest.raises(ValidationError, match="at most 36500d"):
        DURATION.validate_python("99999999999999d")


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(days=14), "14d"),
        (timedelta(hours=36), "36h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(seconds=1234567), "1234567s"),
        (timedelta(seconds=0.5), "0.5s"),
        (timedelta(0), "0s"),
    ],
)
def test_a_duration_is_written_in_its_greatest_whole_unit(duration: timedelta, text: str) -> None:
    assert DURATION.dump_python(duration, mode="json") == text


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36500)))
def test_every_duration_is_read_as_it_was_written(duration: timedelta) -> None:
    assert DURATION.validate_python(DURATION.dump_python(duration, mode="json")) == duration


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_no_feature_may_take_the_name_of_a_column_of_ours(name: str) -> None:
    with pytest.raises(ValidationError, match="reserved"):
        Feature(name=name, type="number")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"name": "c", "type": "category"}, "needs `values`"),
        ({"name": "c", "type": "category", "values": ["a", "a"]}, "twice"),
        ({"name": "n", "type": "number", "values": ["a"]}, "only a category"),
        ({"name": "t", "type": "tensor"}, "needs `shape`"),
        ({"name": "n", "type": "number", "shape": [3]}, "only a tensor"),
        ({"name": "t", "type": "tensor", "shape": [0]}, "at least 1"),
        ({"name": "b", "type": "boolean", "nullable": True}, "cannot be nullable"),
        ({"name": "t", "type": "tensor", "shape": [2], "nullable": True}, "cannot be nullable"),
        ({"name": "n", "type": "number", "minimum": 2, "maximum": 1}, "above `maximum`"),
        ({"name": "n", "type": "number", "minimum": float("nan")}, "finite"),
        ({"name": "n", "type": "word"}, "'number', 'integer'"),
        ({"name": "n", "type": "text", "values": ["a"]}, "only a category"),
        ({"name": "n", "type": "text", "unknown": "serve"}, "only a category has `unknown`"),
        ({"name": "c", "type": "category", "unknown": "ignore"}, "'refuse' or 'serve'"),
        ({"name": "no-hyphen", "type": "number"}, "pattern"),
        ({"name": "1st", "type": "number"}, "pattern"),
        ({"name": "n", "type": "number", "unit": "m"}, "Extra inputs"),
    ],
)
def test_a_feature_that_contradicts_itself_is_refused(entry: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        Feature.model_validate(entry)


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
        ("metric.name", "macro_f1", "metric.name: it is no mean over rows"),
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
        ("retrain", {}, "retrain is not a known key"),
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
    assert (spec.prediction.labels, spec.metric.name) == (("cat", "dog"), metric)
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


def test_a_bare_no_in_a_list_of_values_is_refused_with_the_remedy(loop_document: dict[str, Any]) -> None:
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
    with pytest.raises(InvalidLoopSpec, match=r"retraining.triggers.0: expected the key when"):
        parse_loop_spec(text)


def test_a_key_given_twice_is_refused_rather_than_half_read(loop_document: dict[str, Any]) -> None:
    text = yaml.safe_dump(loop_document) + "automation: auto\nautomation: observe\n"
    with pytest.raises(InvalidLoopSpec, match=r"line \d+: the key automation is given twice"):
        parse_loop_spec(text)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list", "12"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(InvalidLoopSpec, match="is not a YAML mapping of keys"):
        parse_loop_spec(text)


@pytest.mark.parametrize("text", ["model: [", "a: b: c", "\x00", "model: !!python/object/apply:os.getcwd []"])
def test_a_file_that_is_no_plain_yaml_is_refused(text: str) -> None:
    with pytest.raises(InvalidLoopSpec, match="is not YAML"):
        parse_loop_spec(text)


def test_the_line_of_a_slip_is_named() -> None:
    with pytest.raises(InvalidLoopSpec, match="at line 3"):
        parse_loop_spec("model: a\ndescription: b\n\tfeatures: c\n")


def test_a_project_is_read_from_its_folder(tmp_path: Path, loop_document: dict[str, Any]) -> None:
    (tmp_path / "loop.yaml").write_text(yaml.safe_dump(loop_document), encoding="utf-8")
    assert read_loop_spec(tmp_path).model == "flights"


def test_a_folder_without_the_file_gets_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidLoopSpec, match="homeostat init") as refusal:
        read_loop_spec(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere" / "loop.yaml") in refusal.value.message


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InvalidLoopSpec, match="cannot be read"):
        read_loop_spec(tmp_path)


def test_category_without_a_list_is_open() -> None:
    town = Feature(name="town", type="category", unknown="serve")
    assert town.values == ()
    assert town.takes_any_text
    assert town.model_dump()["unknown"] == "serve"


def test_default_of_a_new_key_is_not_written() -> None:
    colour = Feature(name="colour", type="category", values=("red",))
    assert not colour.takes_any_text
    assert "unknown" not in colour.model_dump()
