"""scikit-learn's vectorizers of text for skl2onnx, in place of its own converters, whose tokens are not those of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from homeostat.model_export.text.analyzers import TOKENIZER_DOMAIN
from homeostat.model_export.text.term_counts import TermCounts
from homeostat.model_export.text.token_pattern import translate
from shared.errors import ExportRefused

VECTORIZERS = frozenset({"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"})
# RegexFullMatch is an operator since this set.
OPSET = 20
TEXT_OPSETS = {"": OPSET, TOKENIZER_DOMAIN: 1}
_TEXTS = "fit without it, and prepare the text column before fitting and before requests"


def parts(step: Any) -> Iterator[Any]:
    """An estimator and the fitted estimators inside it."""
    yield step
    inside = [one for _, one in getattr(step, "steps", ())]
    inside += [one[1] for one in getattr(step, "transformers_", ())]
    inside += [one[1] for one in getattr(step, "transformer_list", ())]
    for one in inside:
        if not isinstance(one, str):
            yield from parts(one)


def is_vectorizer(step: Any) -> bool:
    """Whether the estimator reads texts: one of scikit-learn's vectorizers, or of a class derived from them."""
    return any(one.__name__ in VECTORIZERS for one in type(step).__mro__)


def has_vectorizer(estimator: Any) -> bool:
    """Whether some part of the estimator reads texts."""
    return any(map(is_vectorizer, parts(estimator)))


def check_vectorizers(estimator: Any) -> None:
    """Raises ExportRefused for a vectorizer that has no exact form, and names what is in the way."""
    for step in parts(estimator):
        if is_vectorizer(step):
            _check(step)


def text_columns(estimator: Any) -> frozenset[str] | None:
    """Names of the columns that vectorizers read; None if the estimator itself begins with one, and so reads a single column."""
    first = estimator
    while hasattr(first, "steps"):
        first = first.steps[0][1]
    if is_vectorizer(first):
        return None
    if hasattr(first, "transformer_list"):
        inside = [text_columns(one) for _, one in first.transformer_list if not isinstance(one, str)]
        return None if None in inside else frozenset().union(*(one or () for one in inside))
    found = set()
    for _, step, columns in getattr(first, "transformers_", ()):
        if not isinstance(step, str) and text_columns(step) is None:
            names = [columns] if isinstance(columns, str | int) else list(columns)
            known = getattr(first, "feature_names_in_", ())
            found |= {
                str(known[name]) if isinstance(name, int) and len(known) else str(name) for name in names
            }
    return frozenset(found)


def converters(real: int) -> dict[str, dict[type, Callable[..., None]]]:
    """Options for `skl2onnx.convert_sklearn`; `real` is the element type of the counts, FLOAT or DOUBLE."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

    kind = DoubleTensorType if real == TensorProto.DOUBLE else FloatTensorType

    def vectorizer_shape(operator: Any) -> None:
        operator.outputs[0].type = kind([None, len(operator.raw_operator.vocabulary_)])

    def transformer_shape(operator: Any) -> None:
        operator.outputs[0].type = kind([None, operator.inputs[0].type.shape[1]])

    def vectorizer(scope: Any, operator: Any, container: Any) -> None:
        step = operator.raw_operator
        graph = _Nodes(scope, container)
        flat = graph.node("Reshape", [operator.inputs[0].full_name, graph.constant([-1], np.int64)])
        scan = term_counts(step).scan()
        counts = graph.node(
            "Scan", [flat], **{one.name: helper.get_attribute_value(one) for one in scan.attribute}
        )
        container.node_domain_version_pair_sets |= {(TOKENIZER_DOMAIN, 1), ("ai.onnx.ml", 3)}
        if step.binary:
            counts = graph.node("Cast", [graph.node("Cast", [counts], to=TensorProto.BOOL)], to=real)
        elif real != TensorProto.FLOAT:
            counts = graph.node("Cast", [counts], to=real)
        if hasattr(step, "idf_") or hasattr(step, "sublinear_tf"):
            counts = _weighted(graph, counts, step, real)
        graph.node("Identity", [counts], output=operator.outputs[0].full_name)

    def transformer(scope: Any, operator: Any, container: Any) -> None:
        graph = _Nodes(scope, container)
        counts = graph.node("Cast", [operator.inputs[0].full_name], to=real)
        weighted = _weighted(graph, counts, operator.raw_operator, real)
        graph.node("Identity", [weighted], output=operator.outputs[0].full_name)

    return {
        "custom_conversion_functions": {
            CountVectorizer: vectorizer,
            TfidfVectorizer: vectorizer,
            TfidfTransformer: transformer,
        },
        "custom_shape_calculators": {
            CountVectorizer: vectorizer_shape,
            TfidfVectorizer: vectorizer_shape,
            TfidfTransformer: transformer_shape,
        },
    }


def term_counts(vectorizer: Any) -> TermCounts:
    """What a CountVectorizer or TfidfVectorizer counts. Raises ExportRefused for a vocabulary that is not clear."""
    if vectorizer.analyzer != "word":
        characters = {tuple(term): int(place) for term, place in vectorizer.vocabulary_.items()}
        return TermCounts(characters, len(characters), vectorizer.analyzer, bool(vectorizer.lowercase))
    shortest, longest = vectorizer.ngram_range
    terms: dict[tuple[str, ...], int] = {}
    for term, place in vectorizer.vocabulary_.items():
        tokens = (term,) if longest == 1 else tuple(term.split(" "))
        if not shortest <= len(tokens) <= longest or (longest > 1 and "" in tokens):
            raise ExportRefused(
                f"the term {term!r} of the vocabulary has {len(tokens)} words; ngram_range is {vectorizer.ngram_range}",
                hint="fit with a token_pattern whose tokens have no spaces, or with ngram_range=(1, 1)",
            )
        terms[tokens] = int(place)
    stop_words = frozenset(vectorizer.get_stop_words() or ())
    # Of single words, one that is in no term counts for nothing, stop word or not.
    if longest == 1:
        stop_words &= {term[0] for term in terms}
    return TermCounts(
        terms,
        len(vectorizer.vocabulary_),
        translate(vectorizer.token_pattern),
        bool(vectorizer.lowercase),
        stop_words,
    )


class _Nodes:
    """Adds nodes to skl2onnx's container under unique names."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def node(self, kind: str, given: list[str], *, output: str = "", **attributes: Any) -> str:
        result = output or self._scope.get_unique_variable_name(kind.lower())
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, given, [result], op_version=OPSET, name=name, **attributes)
        return str(result)

    def constant(self, value: Any, kind: Any) -> str:
        name = str(self._scope.get_unique_variable_name("constant"))
        array = np.asarray(value, dtype=kind)
        element = helper.np_dtype_to_tensor_dtype(array.dtype)
        self._container.add_initializer(name, element, list(array.shape), array.ravel().tolist())
        return name


def _weighted(graph: _Nodes, counts: str, step: Any, real: int) -> str:
    """Tf-idf as `TfidfTransformer.transform`: 1 + ln of the counts, times the idf, divided by the row's norm."""
    kind = helper.tensor_dtype_to_np_dtype(real)
    weighted = counts
    if step.sublinear_tf:
        one = graph.constant(1, kind)
        # A count of zero stays zero: its logarithm is taken of 1, and the sign of the count takes the 1 away.
        log = graph.node("Log", [graph.node("Max", [counts, one])])
        weighted = graph.node("Add", [log, graph.node("Sign", [counts])])
    if step.use_idf:
        weighted = graph.node("Mul", [weighted, graph.constant(step.idf_, kind)])
    if step.norm is not None:
        # A row of zeros stays one.
        weighted = graph.node("LpNormalization", [weighted], axis=1, p={"l1": 1, "l2": 2}[step.norm])
    return weighted


def _check(step: Any) -> None:
    name = type(step).__name__
    if name not in ("CountVectorizer", "TfidfVectorizer"):
        raise ExportRefused(
            f"{name} has no exact form in ONNX", hint="fit with TfidfVectorizer or CountVectorizer"
        )
    for option in ("tokenizer", "preprocessor", "analyzer"):
        if callable(given := getattr(step, option)):
            raise ExportRefused(
                f"{name} has {option}={getattr(given, '__name__', given)}, a function, which ONNX cannot hold",
                hint=_TEXTS,
            )
    if step.strip_accents is not None:
        raise ExportRefused(
            f"{name} has strip_accents={step.strip_accents!r}, which ONNX cannot do", hint=_TEXTS
        )
    if step.input != "content":
        raise ExportRefused(
            f"{name} has input={step.input!r}", hint="fit on texts instead of files, input='content'"
        )
    if step.analyzer == "word":
        translate(step.token_pattern)
