"""The inputs of models that a client has read, and when it must read them again. Pure."""

from __future__ import annotations

from homeostat.client.inputs import ModelInputs

_FRESH_S = 1.0


class KnownInputs:
    """Inputs by model, until another version answers."""

    def __init__(self) -> None:
        self._inputs: dict[str, tuple[ModelInputs, float]] = {}

    def get(self, model: str) -> ModelInputs | None:
        """The inputs as last read; None if they must be read."""
        found = self._inputs.get(model)
        return found[0] if found else None

    def put(self, model: str, inputs: ModelInputs, now: float) -> None:
        """The inputs as just read."""
        self._inputs[model] = (inputs, now)

    def is_fresh(self, model: str, now: float) -> bool:
        """Whether they were read a moment ago, so that reading again would bring nothing new."""
        found = self._inputs.get(model)
        return found is not None and now - found[1] < _FRESH_S

    def forget(self, model: str) -> None:
        """Read them again next time."""
        self._inputs.pop(model, None)

    def answered_by(self, model: str, version: str) -> None:
        """A version has answered; the inputs of another one are forgotten."""
        found = self._inputs.get(model)
        if found and found[0].version != version:
            self.forget(model)
