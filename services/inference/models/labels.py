"""The labels of a model with classes, looked up by what requests hold."""

from __future__ import annotations

from shared.contracts.prediction import Prediction


class Labels:
    """Labels in the order of the model's output; none for a model of another kind."""

    def __init__(self, prediction: Prediction) -> None:
        self.values = prediction.labels
        self.texts = prediction.label_texts
        self._text = dict(zip(self.values, self.texts, strict=True))
        # 1, 1.0 and true are equal in Python.
        self._type = type(self.values[0]) if self.values else None

    def __len__(self) -> int:
        return len(self.values)

    def text_of(self, value: object) -> str | None:
        """The label as the log holds it; None where the model has no such label."""
        return self._text.get(value) if type(value) is self._type else None
