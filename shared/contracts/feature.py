"""Features in `loop.yaml`: name, type and valid values of each, and the matrix that several of them may form for the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

FEATURE_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"
RESERVED_NAMES = frozenset(
    {"event_time", "outcome", "prediction_id", "score", "model", "version", "generation"}
)

# The types that are a number in each row: the columns of a matrix.
MATRIX_TYPES = frozenset({"number", "integer", "boolean"})


# Evidently's methods that compare two samples of a column. Not among them: empirical_mmd compares every pair of rows, which takes
# minutes; TVD permutes at random, so its smallest p-value is coarse; g_test fails where the samples differ in size; z and
# fisher_exact take two categories only; the p-value of anderson is never below 0.001.
NumberMethod = Literal[
    "wasserstein",
    "jensenshannon",
    "psi",
    "kl_div",
    "hellinger",
    "ed",
    "ks",
    "cramer_von_mises",
    "mannw",
    "t_test",
    "es",
]
CategoryMethod = Literal["jensenshannon", "psi", "kl_div", "hellinger", "chisquare"]


class Section(BaseModel):
    """A part of `loop.yaml`: unknown keys are refused, and nothing changes after it was read."""

    # JSON has no NaN and no infinity: a version's manifest could not be read again.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Feature(Section):
    """One input of the model."""

    name: str = Field(
        pattern=FEATURE_NAME, description="Name of the feature in requests, in the lake and in the model."
    )
    type: Literal["number", "integer", "boolean", "category", "text", "timestamp", "tensor"] = Field(
        description="number (float32), integer (int64; float32 where nullable), boolean, category (string), text (any string), "
        "timestamp (ISO 8601 with an offset; int64 in the model: microseconds since 1970-01-01T00:00:00Z) or tensor (float32 of "
        "`shape`)."
    )
    values: tuple[str, ...] = Field((), description="Known values of a category.")
    unknown: Literal["refuse", "serve"] = Field(
        "refuse",
        description="What to do with a value that is not in `values`: refuse the request, or serve it. With `serve`, "
        "`values` may be empty.",
    )
    minimum: float | None = Field(
        None,
        description="Smallest valid value; smaller ones count as out of range. For a tensor, the mean of its "
        "numbers is compared.",
    )
    maximum: float | None = Field(
        None,
        description="Largest valid value; larger ones count as out of range. For a tensor, the mean of its "
        "numbers is compared.",
    )
    nullable: bool = Field(
        False, description="Whether the value may be missing (null; NaN inside the model)."
    )
    personal: bool | Literal["pseudonym", "mask", "drop"] = Field(
        False,
        description="Whether it is personal data. `true`: it is logged, for training; its values are in no report, service log "
        "or message. `pseudonym` (a text, or a category with `unknown: serve` and no `values`): model, log and training see a "
        "keyed hash. `mask` (the same types) logs `***`, `drop` (nullable features) nothing: only the model sees the value, so "
        "such a model has `automation: observe`.",
    )
    shape: tuple[int, ...] = Field((), description="Shape of a tensor, without the row axis.")
    content: Literal["embedding", "image"] | None = Field(
        None,
        description="What a tensor is, which decides what drift is measured of it. `embedding`: mean, norm and eight random "
        "projections. `image` (two axes, or three with one of channels): brightness, contrast and sharpness. Default: mean and "
        "spread of its numbers.",
    )
    watch: bool = Field(
        True,
        description="Whether drift of it is measured. `false` suits a feature that follows the calendar. Missing and invalid "
        "values are still data faults.",
    )
    method: NumberMethod | CategoryMethod | None = Field(
        None, description="Evidently's method that measures its drift. Default: that of `drift.methods`."
    )

    @model_validator(mode="before")
    @classmethod
    def _unwatched_without_values(cls, document: Any) -> Any:
        if isinstance(document, dict) and document.get("personal") in ("mask", "drop"):
            return {"watch": False, **document}
        return document

    @model_validator(mode="after")
    def _consistent(self) -> Feature:
        if self.name in RESERVED_NAMES:
            raise ValueError(f"name {self.name!r} is reserved; choose another")
        if self.type == "category" and not self.values and self.unknown == "refuse":
            raise ValueError("a category needs `values`, the list of known values, or `unknown: serve`")
        if self.type != "category" and self.unknown == "serve":
            raise ValueError("only a category has `unknown`")
        if self.type != "category" and self.values:
            raise ValueError("only a category has `values`")
        if len(set(self.values)) != len(self.values):
            raise ValueError("`values` names a value twice")
        if (self.type == "tensor") != bool(self.shape):
            raise ValueError("a tensor needs `shape`, and only a tensor has one")
        self._check_content()
        if any(axis < 1 for axis in self.shape):
            raise ValueError("`shape` holds whole numbers of at least 1")
        if self.nullable and self.type in ("boolean", "timestamp", "tensor"):
            raise ValueError(f"a {self.type} cannot be nullable: it has no value that means missing")
        if self.type == "timestamp" and (self.minimum is not None or self.maximum is not None):
            raise ValueError("a timestamp cannot have `minimum` or `maximum`")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("`minimum` is above `maximum`")
        self._check_protection()
        fitting = get_args(CategoryMethod if self.type in ("category", "boolean") else NumberMethod)
        if self.method is not None and self.method not in fitting:
            raise ValueError(f"`method` of a {self.type} is one of {', '.join(fitting)}")
        return self

    def _check_content(self) -> None:
        if self.content is not None and self.type != "tensor":
            raise ValueError("only a tensor has `content`")
        if self.content != "image":
            return
        # Channels are the last axis if that has 1, 3 or 4, and else the first.
        spatial = (
            self.shape
            if len(self.shape) == 2
            else self.shape[:-1]
            if self.has_last_channels
            else self.shape[1:]
        )
        if len(spatial) != 2 or min(spatial) < 3:
            raise ValueError(
                "`content: image` needs a `shape` of two axes of at least 3, and at most one of channels"
            )

    def _check_protection(self) -> None:
        if self.personal in ("pseudonym", "mask") and (not self.takes_any_text or self.values):
            raise ValueError(
                f"`personal: {self.personal}` needs a text, or a category with `unknown: serve` and without `values`"
            )
        if self.personal == "drop" and not self.nullable:
            raise ValueError("`personal: drop` needs `nullable: true`: in the log the value is missing")
        if self.is_unlogged and self.watch:
            raise ValueError(
                f"`personal: {self.personal}` and `watch: true` exclude each other: no value is logged"
            )

    @property
    def has_last_channels(self) -> bool:
        """Whether the channels of an image are its last axis, not the first."""
        return len(self.shape) == 3 and self.shape[-1] in (1, 3, 4)

    @property
    def is_protected(self) -> bool:
        """Whether its values are replaced before rows are stored."""
        return isinstance(self.personal, str)

    @property
    def is_unlogged(self) -> bool:
        """Whether only the model sees its values."""
        return self.personal in ("mask", "drop")

    @property
    def takes_any_text(self) -> bool:
        """Whether every string is valid: a text, or a category whose unknown values are served."""
        return self.type == "text" or self.unknown == "serve"

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        if self.unknown == "refuse":
            # The default is left out: manifests from before this key keep their bytes, and so their versions' names.
            document.pop("unknown", None)
        for key, default in (("watch", True), ("method", None), ("content", None)):
            if document.get(key, default) == default:
                document.pop(key, None)
        return document


class Key(Section):
    """`key` of requests: the id of what a row is about, such as a customer."""

    personal: Literal[False, "pseudonym", "drop"] = Field(
        "pseudonym",
        description="What is logged of it: `false` logs it as it is, `pseudonym` a keyed hash, `drop` nothing.",
    )


class Matrix(Section):
    """The one float32 input [N, columns] of a model that takes several features as columns of a matrix."""

    input: str = Field(min_length=1, description="Name of the model's input.")
    features: tuple[str, ...] = Field(
        (),
        description="Features that are its columns, in order. Empty: every number, integer and boolean, in the order of "
        "`features`. A missing value is NaN. Integers beyond 2^24 are refused, because float32 rounds them.",
    )

    def columns(self, features: Sequence[Feature]) -> tuple[str, ...]:
        """The names of its columns, in order."""
        return self.features or tuple(one.name for one in features if one.type in MATRIX_TYPES)

    def check(self, features: Sequence[Feature]) -> None:
        """Raises ValueError that names the first column which cannot be one."""
        types = {one.name: one.type for one in features}
        for name in self.features:
            if name not in types:
                raise ValueError(f"matrix.features names {name}, which is not a feature")
            if types[name] not in MATRIX_TYPES:
                raise ValueError(
                    f"matrix.features names {name}, a {types[name]}; a column of a matrix is a number, an integer or a boolean"
                )
        if len(set(self.features)) != len(self.features):
            raise ValueError("matrix.features names a feature twice")
        columns = self.columns(features)
        if not columns:
            raise ValueError("`matrix` needs a feature that is a number, an integer or a boolean")
        if self.input in types.keys() - set(columns):
            raise ValueError(
                f"matrix.input is {self.input}, which is also the name of a feature with its own input; rename the feature"
            )
