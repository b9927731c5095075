"""Reads `loop.yaml`, and says in one sentence what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from shared.contracts.feature import FEATURE_NAME
from shared.contracts.loop_spec import MODEL_NAME, LoopSpec
from shared.contracts.retraining_spec import RESOURCE_NAME, VARIABLE_NAME
from shared.errors import InvalidLoopSpec
from shared.files import read_regular
from shared.validation_text import problem_text

_PATTERNS = {
    MODEL_NAME: "lowercase letters, digits, _ and -, beginning with a letter, at most 63 characters",
    FEATURE_NAME: "letters, digits and _, not beginning with a digit, at most 63 characters",
    RESOURCE_NAME: "the name of a resource, such as GPU, cpu or nvidia.com/gpu",
    VARIABLE_NAME: "the name of an environment variable: letters, digits and _, not beginning with a digit",
}
# What `homeostat deploy` needs of `retraining` to train a version by hand.
_TRAINING = frozenset({"command", "environment", "time_limit"})
_MAX_BYTES = 1 << 20
_MAX_NODES = 100_000


class _OneValuePerKey(yaml.SafeLoader):
    """YAML without objects that refuses a key given twice, where plain YAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode) and key.value != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} is given twice", key.start_mark
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def parse_loop_spec(text: str, *, origin: str = "loop.yaml") -> LoopSpec:
    """Read a loop specification. Raises InvalidLoopSpec, naming the key and what was expected."""
    try:
        loader = _OneValuePerKey(text)
        try:
            node = loader.get_single_node()
            if node is not None and _expanded(node, {}) > _MAX_NODES:
                raise _too_large(origin)
            document = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError as error:
        raise _too_large(origin) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        what = getattr(error, "problem", None) or "a character that YAML does not allow"
        if what.startswith("could not determine a constructor"):
            what = "a tag such as !!python, which is not allowed"
        raise InvalidLoopSpec(
            f"{origin} is not YAML{where}: {what}", hint="fix the file and run the command again"
        ) from error
    if not isinstance(document, dict):
        raise InvalidLoopSpec(
            f"{origin} is not a YAML mapping of keys", hint="`homeostat init` writes one that works"
        )
    try:
        spec = LoopSpec.model_validate(document)
    except ValidationError as error:
        raise InvalidLoopSpec(
            f"{origin}: {_first_problem(error, document)}", hint="see docs/configuration.md, loop.yaml"
        ) from error
    if not spec.prediction.has_loss:
        _refuse_performance(spec, origin)
    return spec


def _expanded(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for: an alias repeats the values it names, and aliases of aliases may be billions."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = _MAX_NODES + 1  # for one that contains itself
        parts = (
            [part for pair in node.value for part in pair]
            if isinstance(node, yaml.MappingNode)
            else node.value
        )
        known[id(node)] = 1 + sum(_expanded(part, known) for part in parts)
    return known[id(node)]


def _too_large(origin: str) -> InvalidLoopSpec:
    return InvalidLoopSpec(
        f"{origin} has too many or too deeply nested values; expected at most {_MAX_NODES}, aliases written out",
        hint="`homeostat init` writes one that works",
    )


def read_loop_spec(project: Path) -> LoopSpec:
    """Read `loop.yaml` of the model project at `project`. Raises InvalidLoopSpec."""
    path = project / "loop.yaml"
    try:
        text = read_regular(path, maximum_bytes=_MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidLoopSpec(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}",
            hint="give the folder of a model project; `homeostat init DIR` writes one",
        ) from error
    return parse_loop_spec(text, origin=str(path))


def _refuse_performance(spec: LoopSpec, origin: str) -> None:
    """Raise InvalidLoopSpec for a key that needs a loss. Here, not in LoopSpec: older versions of kind tensor have these keys."""
    kind = spec.prediction.kind
    given = [
        str(key)
        for key in ("outcome", "metric", "metrics", "slices", "gate", "rollout")
        if key in spec.model_fields_set
    ]
    if spec.retraining is not None:
        given += [f"retraining.{key}" for key in sorted(spec.retraining.model_fields_set - _TRAINING)]
    if given:
        raise InvalidLoopSpec(
            f"{origin}: {given[0]} is not allowed for a prediction of kind {kind}, which has no loss",
            hint=f"remove {', '.join(given)}; `homeostat deploy` uses {', '.join(sorted(_TRAINING))} of retraining",
        )
    if spec.automation != "observe":
        raise InvalidLoopSpec(
            f"{origin}: automation is {spec.automation}; expected observe, since a prediction of kind {kind} has no loss",
            hint="set automation: observe, and deploy new versions yourself",
        )


def _first_problem(error: ValidationError, document: dict[str, Any]) -> str:
    problem = error.errors()[0]
    place, known = _place(problem["loc"])
    path = ".".join(str(part) for part in place)
    if not path and problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    features = document.get("features")
    if isinstance(features, list) and len(place) > 1 and place[0] == "features" and isinstance(place[1], int):
        entry = features[place[1]]
        if isinstance(entry, dict) and "name" in entry:
            path += f" (feature {entry['name']})"
    if problem["type"] == "string_pattern_mismatch":
        return f"{path} is {problem['input']!r}; expected {_PATTERNS[problem['ctx']['pattern']]}"
    text = problem_text(path, problem)
    return f"{text}; known keys are {', '.join(known)}" if problem["type"] == "extra_forbidden" else text


def _place(location: tuple[int | str, ...]) -> tuple[list[int | str], list[str]]:
    """The keys of the file that lead to a place, and the keys that the mapping around it may have.

    pydantic adds the tag of a union to the location, such as `drift` of `when: drift`; it is no key of the file.
    """
    models: list[type[BaseModel]] = [LoopSpec]
    place: list[int | str] = []
    known: list[str] = []
    for part in location:
        known = [key for model in models for key in model.model_fields]
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if len(models) > 1 and not fields and isinstance(part, str):
            models = [model for model in models if _has_tag(model, part)]
        else:
            place.append(part)
        if fields:
            models = [model for field in fields for model in _models_in(field.annotation)]
    return place, known


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    return any(tag in get_args(field.annotation) for field in model.model_fields.values())
