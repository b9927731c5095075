"""Predictions as the server answers them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_KNOWN = frozenset({"prediction_id", "score", "label", "scores", "values", "embedding", "output"})


@dataclass(frozen=True)
class Prediction:
    """The answer for one row. Fields that this kind of model does not have are None; `extra` holds fields unknown here."""

    prediction_id: str
    model: str
    version: str
    generation: int
    score: float | None = None
    """The probability or value; of a model with classes, the probability of `label`."""
    label: str | int | None = None
    scores: Mapping[str, float] | None = None
    values: Mapping[str, float] | None = None
    """The numbers by name, of a model that predicts several values."""
    embedding: Sequence[float] | None = None
    output: Any = None
    extra: Mapping[str, Any] = field(default_factory=dict)


class Predictions(Sequence[Prediction]):
    """The answers of one request, in the order of the rows; one version has computed them all."""

    def __init__(
        self,
        model: str,
        version: str,
        generation: int,
        predictions: Sequence[Mapping[str, Any]],
        slot: str = "live",
    ) -> None:
        """`slot`: `live`, or `canary` if the model's canary answered."""
        self.slot = slot
        self.model = model
        self.version = version
        self.generation = generation
        self._items = [
            Prediction(
                model=model,
                version=version,
                generation=generation,
                **{name: value for name, value in item.items() if name in _KNOWN},
                extra={name: value for name, value in item.items() if name not in _KNOWN},
            )
            for item in predictions
        ]

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Predictions:
        """From the body of the answer to `/predict`."""
        return cls(
            reply["model"],
            reply["version"],
            reply["generation"],
            reply["predictions"],
            reply.get("slot", "live"),
        )

    def column(self, name: str) -> list[Any]:
        """One field of every prediction, such as `prediction_id`, `score` or one of `extra`; None where it is missing."""
        return [
            item.extra.get(name) if name in item.extra else getattr(item, name, None) for item in self._items
        ]

    def __getitem__(self, place: Any) -> Any:
        return self._items[place]

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<{len(self)} predictions of {self.model}, version {self.version[:12]}, generation {self.generation}>"
