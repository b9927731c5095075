"""What the methods take and answer, as BentoML describes it in `/schema.json`, in `/docs.json` and to its clients.

The types describe; they check nothing. A request reaches the handlers as it was sent, so that both paths accept the same
requests and refuse the others in the same words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from _bentoml_sdk import IODescriptor  # type: ignore[import-untyped]
from _bentoml_sdk.io_models import IORootModel, Schema  # type: ignore[import-untyped]
from _bentoml_sdk.validators import ContentType  # type: ignore[import-untyped]
from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from services.inference.bento.json_schema import standalone
from services.inference.bento.unread_request import PARQUET, UnreadRequest
from services.inference.tasks.record import TaskStatus

_TIME = "ISO 8601 with an offset, such as 2026-03-01T12:00:00Z; by default the time of the request."
_CLOSED = ConfigDict(extra="forbid")  # an answer is of one kind only
_ID = "Names the prediction in the log; its outcome is sent with it."


class Described(IODescriptor):  # type: ignore[misc]
    """A request or an answer that BentoML describes and does not parse."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The schema without references: BentoML drops the definitions that they would lead to."""
        return standalone(super().model_json_schema(*args, **kwargs))

    @classmethod
    async def from_http_request(cls, request: Any, serde: object) -> Any:
        """The request as it was sent."""
        return UnreadRequest(request.scope, request.receive)

    def model_dump_json(self, **kwargs: Any) -> str:
        """What a client sends: only the fields that were given."""
        text: str = super().model_dump_json(**{**kwargs, "exclude_unset": True})
        return text


class ScoreAnswer(TypedDict):
    """The answer of a model of kind `value` or `probability`."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    prediction_id: str
    score: float


class ClassAnswer(TypedDict):
    """The answer of a model of kind `classes`: the most probable label, its probability, and those of the others."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    prediction_id: str
    label: str | int
    score: float
    scores: dict[str, float]


class ValuesAnswer(TypedDict):
    """The answer of a model of kind `values`: numbers by name."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    prediction_id: str
    values: dict[str, float]


class EmbeddingAnswer(TypedDict):
    """The answer of a model of kind `embedding`: a vector."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    prediction_id: str
    embedding: list[float]


class TensorAnswer(TypedDict):
    """The answer of a model of kind `tensor`: nested lists of its shape."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    prediction_id: str
    output: list[Any]


class Outcome(TypedDict, total=False):
    """The outcome (ground truth) of one prediction."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    prediction_id: str
    value: float | str | dict[str, float]
    observed_at: str


class PredictRequest(Described):
    """Rows to predict."""

    rows: list[dict[str, Any]] = Field(description="Objects of feature names and values, one per row.")
    model: str | None = Field(None, description="Name of the model; optional while one model is served.")
    event_time: str | None = Field(None, description=f"Time at which the rows were true. {_TIME}")
    key: str | None = Field(
        None,
        description="What decides whether a canary answers, such as the id of a customer: the same key gets the same version.",
        min_length=1,
        max_length=256,
    )


class PredictResponse(Described):
    """The answers, one per row in order, and the version that gave them."""

    model: str
    version: str = Field(description="Content digest of the version.")
    generation: int = Field(description="Number of the release.")
    slot: str | None = Field(
        None, description="`canary` if the model's canary answered; else it is left out."
    )
    predictions: list[ScoreAnswer | ClassAnswer | ValuesAnswer | EmbeddingAnswer | TensorAnswer] = Field(
        description="One answer per row, in the form of the model's kind."
    )


class OutcomesRequest(Described):
    """One outcome, or several under `outcomes`: all are accepted or none."""

    prediction_id: str | None = Field(None, description=_ID)
    value: float | str | dict[str, float] | None = Field(
        None, description="A number, a label, or numbers by name: what the model's kind predicts."
    )
    observed_at: str | None = Field(None, description=f"Time at which the outcome was known. {_TIME}")
    outcomes: list[Outcome] | None = Field(None, description="Several outcomes, instead of the other fields.")


class OutcomesResponse(Described):
    """How many outcomes were accepted."""

    accepted: int


class ScoreFileRequest(Described):
    """A Parquet file to score: a column per feature, other columns are left out."""

    file: Annotated[Path, ContentType(PARQUET)] = Field(description="The rows.")
    model: str | None = Field(None, description="Name of the model; optional while one model is served.")
    event_time: str | None = Field(None, description=f"Time at which the rows were true. {_TIME}")
    event_time_column: str | None = Field(
        None, description="Column that holds a time per row, instead of `event_time`."
    )


class ScoreFileResponse(IORootModel[Annotated[Path, ContentType(PARQUET)]]):  # type: ignore[misc]
    """A Parquet file with `row`, `prediction_id`, `version`, `generation` and the answer of each row."""


class TaskReport(TypedDict, total=False):
    """A task: its status and progress; of a failed one also the fields of its error."""

    task_id: str
    status: TaskStatus
    created_at: str
    executed_at: str | None
    completed_at: str | None
    rows: int
    rows_done: int
    error: str


# For `/docs.json`, whose own has other statuses and no progress.
TASK_REPORT = Schema(**standalone(TypeAdapter(TaskReport).json_schema()))
