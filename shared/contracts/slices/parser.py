"""Reads a condition over features. Nothing of it is ever run as code.

condition  = conjunct { "or" conjunct }
conjunct   = part { "and" part }
part       = "not" part | "(" condition ")" | comparison
comparison = operand ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) operand
           | feature [ "not" ] "in" "[" constant { "," constant } "]"
           | feature "is" [ "not" ] "missing"
           | feature                                             (a boolean)
operand    = feature | constant
constant   = number | "text" | 'text' | true | false
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from shared.contracts.feature import Feature
from shared.contracts.slices.condition import (
    Both,
    Compare,
    Comparison,
    Condition,
    Either,
    IsIn,
    IsMissing,
    Not,
    Operand,
)
from shared.contracts.slices.tokens import ConditionError, Token, tokens_of

_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_WORDS = frozenset({"and", "or", "not", "in", "is", "missing", "true", "false"})
# Types that compare with each other.
_FAMILY = {
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "category": "text",
    "text": "text",
}
_MAX_DEPTH = 50


def parse_condition(text: str, features: Sequence[Feature]) -> Condition:
    """The condition that `text` states over these features. Raises ConditionError, which names the position.

    >>> distance = Feature(name="distance", type="number")
    >>> parse_condition("distance > 1000", [distance]).comparison
    '>'
    >>> parse_condition("distanse > 1000", [distance])
    Traceback (most recent call last):
    shared.contracts.slices.tokens.ConditionError: at character 1: distanse is not a feature; did you mean distance?
    """
    parser = _Parser(tokens_of(text), {feature.name: feature for feature in features})
    condition = parser.condition(0)
    parser.expect_end()
    return condition


class _Parser:
    def __init__(self, tokens: list[Token], features: dict[str, Feature]) -> None:
        self._tokens = tokens
        self._features = features
        self._place = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next
        self._place += token.kind != "end"
        return token

    def _took(self, text: str) -> bool:
        """Whether the next word was this one, and is taken."""
        found = self._next.kind in ("name", "operator") and self._next.text == text
        self._place += found
        return found

    def _expect(self, text: str) -> None:
        if not self._took(text):
            raise ConditionError(self._next.position, f"expected {text}, found {self._next}")

    def expect_end(self) -> None:
        if self._next.kind != "end":
            raise ConditionError(self._next.position, f"expected and, or, or the end, found {self._next}")

    def condition(self, depth: int) -> Condition:
        if depth > _MAX_DEPTH:
            raise ConditionError(self._next.position, f"more than {_MAX_DEPTH} conditions inside each other")
        found = self._conjunct(depth)
        while self._took("or"):
            found = Either(found, self._conjunct(depth))
        return found

    def _conjunct(self, depth: int) -> Condition:
        found = self._part(depth)
        while self._took("and"):
            found = Both(found, self._part(depth))
        return found

    def _part(self, depth: int) -> Condition:
        if depth > _MAX_DEPTH:
            raise ConditionError(self._next.position, f"more than {_MAX_DEPTH} conditions inside each other")
        if self._took("not"):
            return Not(self._part(depth + 1))
        if self._took("("):
            found = self.condition(depth + 1)
            self._expect(")")
            return found
        return self._comparison()

    def _comparison(self) -> Condition:
        start = self._next
        left = self._operand()
        if self._took("is"):
            negated = self._took("not")
            self._expect("missing")
            missing = IsMissing(self._feature(left, start))
            return Not(missing) if negated else missing
        negated = self._next.text == "not"
        if negated:
            self._take()
            if self._next.text != "in":
                raise ConditionError(self._next.position, f"expected in, found {self._next}")
        if self._took("in"):
            found = IsIn(self._feature(left, start), self._values(left))
            return Not(found) if negated else found
        if self._next.kind == "operator" and self._next.text in _COMPARISONS:
            operator = self._take()
            return self._compare(start, left, operator)
        if left.is_feature and left.type == "boolean":
            return Compare(left, "==", Operand(True, "boolean"))
        raise ConditionError(
            self._next.position, f"expected one of {' '.join(_COMPARISONS)}, in or is, found {self._next}"
        )

    def _compare(self, start: Token, left: Operand, operator: Token) -> Condition:
        place = self._next
        right = self._operand()
        if not (left.is_feature or right.is_feature):
            raise ConditionError(start.position, "a comparison needs a feature")
        if _FAMILY[left.type] != _FAMILY[right.type]:
            raise ConditionError(
                place.position,
                f"{left.value} is of type {left.type}, which does not compare with type {right.type}",
            )
        if _FAMILY[left.type] != "number" and operator.text not in ("==", "!="):
            raise ConditionError(operator.position, f"a {left.type} is compared by == or !=")
        for one, other in ((left, right), (right, left)):
            self._check_known(one, other, place)
        comparison: Comparison = operator.text  # type: ignore[assignment]
        return Compare(left, comparison, right)

    def _values(self, feature: Operand) -> tuple[float | int | str | bool, ...]:
        self._expect("[")
        found = []
        while True:
            place = self._next
            value = self._operand()
            if value.is_feature:
                raise ConditionError(place.position, "a list holds numbers or texts, no features")
            if _FAMILY[value.type] != _FAMILY[feature.type]:
                raise ConditionError(
                    place.position,
                    f"{feature.value} is of type {feature.type}, which does not compare with type {value.type}",
                )
            if feature.type == "integer" and value.type == "number":
                raise ConditionError(place.position, f"{feature.value} is an integer, and {place} is not")
            self._check_known(feature, value, place)
            found.append(value.value)
            if not self._took(","):
                break
        self._expect("]")
        return tuple(found)

    def _check_known(self, one: Operand, constant: Operand, place: Token) -> None:
        """A constant that the feature can never have is a misspelt one."""
        feature = self._features.get(str(one.value)) if one.is_feature else None
        if feature is None or constant.is_feature or feature.type != "category" or feature.unknown == "serve":
            return
        if constant.value not in feature.values:
            raise ConditionError(
                place.position,
                f"{constant.value!r} is not a value of {feature.name}: {', '.join(feature.values[:20])}",
            )

    def _feature(self, operand: Operand, start: Token) -> Operand:
        if not operand.is_feature:
            raise ConditionError(start.position, f"expected a feature, found {start}")
        return operand

    def _operand(self) -> Operand:
        token = self._take()
        if token.kind == "number":
            whole = token.text.lstrip("-").isdigit()
            if whole and not -(2**63) <= int(token.text) < 2**63:
                raise ConditionError(token.position, f"{token.text} is beyond 64-bit integers")
            return Operand(int(token.text), "integer") if whole else Operand(float(token.text), "number")
        if token.kind == "string":
            return Operand(token.text[1:-1], "text")
        if token.text in ("true", "false"):
            return Operand(token.text == "true", "boolean")
        if token.kind == "name" and token.text not in _WORDS:
            return self._named(token)
        raise ConditionError(token.position, f"expected a feature, a number or a text, found {token}")

    def _named(self, token: Token) -> Operand:
        feature = self._features.get(token.text)
        if feature is None:
            close = get_close_matches(token.text, self._features, n=1)
            hint = f"; did you mean {close[0]}?" if close else "; put text in quotes"
            raise ConditionError(token.position, f"{token.text} is not a feature{hint}")
        if feature.type not in _FAMILY:
            raise ConditionError(
                token.position,
                f"{feature.name} is a {feature.type}; a condition compares numbers, integers, booleans, categories and texts",
            )
        return Operand(feature.name, feature.type, is_feature=True)
