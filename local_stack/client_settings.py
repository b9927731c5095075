"""The few settings that a command needs to call a running stack: plain Python, so that such a command starts quickly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from shared.errors import OperatorError

PREFIX = "HOMEOSTAT_"


@dataclass(frozen=True)
class ClientSettings:
    """A part of `LocalStackSettings`, with the same variables and defaults (a test compares them)."""

    home: Path = Path(".homeostat")
    host: str = "127.0.0.1"
    inference_port: int = 8000
    drift_port: int = 8002
    retraining_port: int = 8003
    inference_url: str = ""
    drift_url: str = ""
    retraining_url: str = ""

    @classmethod
    def read(cls, environment: Mapping[str, str], **given: object) -> ClientSettings:
        """The settings of the environment, overridden by the options `given`; None and empty mean not given.

        Raises `OperatorError` naming a variable with a wrong value.
        """
        values: dict[str, object] = {}
        for field in fields(cls):
            variable = PREFIX + field.name.upper()
            text = environment.get(variable, "")
            if not text:
                continue
            if field.name.endswith("_port"):
                if not text.isdigit() or not 1 <= int(text) <= 65535:
                    raise OperatorError(
                        f"{variable} is {text!r}; expected a port, a whole number from 1 to 65535",
                        hint=f"set {variable} to a port, or unset it for {field.default}",
                    )
                values[field.name] = int(text)
            else:
                values[field.name] = Path(text) if field.name == "home" else text
        overridden = {name: value for name, value in given.items() if value not in (None, "")}
        return replace(cls(), **{**values, **overridden})  # type: ignore[arg-type]
