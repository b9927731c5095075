"""The manifest of a version: what the model takes and answers, what its files must hash to, and where it came from.

A version's name is the SHA-256 of its manifest's canonical bytes, and the manifest holds the SHA-256 of every other file, so the
name fixes every byte. No time of day is in it: packaging the same files twice gives the same version.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.contracts.feature import Feature, Matrix
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.prediction import Prediction
from shared.contracts.version_files.names import MODEL_FILES
from shared.errors import IntegrityError

MANIFEST = "manifest.json"
REFERENCE = "reference.parquet"
SIGNATURE = "signature.json"

SHORT = 12


# A name, never a path: files are copied next to each other before anything about them is verified.
FileName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=100)]


class _Part(BaseModel):
    # JSON has no NaN and no infinity: the canonical bytes could not be read again.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileDigest(_Part):
    """What a file must be."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, description="Bytes.")


class Origin(_Part):
    """Where a version came from: the chain `why` follows."""

    kind: Literal["deployment", "run"] = Field(
        description="`deployment` if a person deployed it, `run` if a run created it."
    )
    run_id: str = Field("", description="The run that created it; empty for a deployment.")
    cause_key: str = Field("", description="The cause of that run.")
    snapshot: str = Field(
        "",
        description="Digest of the training snapshot, with its lake version; for a deployment, digest of the training rows. "
        "Empty for a model that was trained elsewhere.",
    )
    parent: str = Field("", description="The version that was the champion at that time.")
    trained_until: str = Field(
        "",
        description="Event time (ISO 8601) of the last training row, or without a snapshot of the newest reference row. "
        "Empty if unknown.",
    )


class Manifest(_Part):
    """`manifest.json` of a version."""

    format: Literal[1] = Field(1, description="Version of the manifest format.")
    model: str = Field(description="Name of the model.")
    loop: LoopSpec = Field(description="The complete `loop.yaml` at packaging time.")
    files: dict[FileName, FileDigest] = Field(
        description="`sha256` and `size` of each of the other files, by name."
    )
    origin: Origin = Field(description="How the version was created.")
    metrics: dict[str, float] = Field(
        default_factory=dict, description="What the training command wrote to `metrics.json`."
    )

    @property
    def model_file(self) -> str:
        """Name of the file with the model, one of MODEL_FILES. Raises IntegrityError."""
        found = [name for name in MODEL_FILES if name in self.files]
        if len(found) != 1:
            raise IntegrityError(
                f"version {short(self.version)} holds {' and '.join(found) or 'no model'}; expected {' or '.join(MODEL_FILES)}",
                hint="package it again",
            )
        return found[0]

    @property
    def features(self) -> tuple[Feature, ...]:
        """The inputs, in order."""
        return self.loop.features

    @property
    def matrix(self) -> Matrix | None:
        """The input that holds several features, if the model has one."""
        return self.loop.matrix

    @property
    def prediction(self) -> Prediction:
        """What the model answers."""
        return self.loop.prediction

    def to_bytes(self) -> bytes:
        """Canonical form: JSON, sorted keys, no white space."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)

    @property
    def version(self) -> str:
        """The version's name: SHA-256 of the canonical bytes, in hex."""
        return sha256(self.to_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, raw: bytes, *, version: str) -> Manifest:
        """Read a manifest and check that it is the one the version is named after. Raises IntegrityError."""
        if sha256(raw).hexdigest() != version:
            raise IntegrityError(
                f"manifest of version {short(version)} has another digest than the version's name",
                hint="restore the version folder from a copy, or release another version",
            )
        try:
            return cls.model_validate(orjson.loads(raw))
        except (ValidationError, orjson.JSONDecodeError) as error:
            raise IntegrityError(f"manifest of version {short(version)} cannot be read: {error}") from error


def short(version: str) -> str:
    """The form of a version for people and metric labels: its first 12 characters."""
    return version[:SHORT]
