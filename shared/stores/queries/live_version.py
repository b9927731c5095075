"""The live version of a model, from the home's model store: its `loop.yaml` and its reference."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.contracts.lake_schema import FEATURE_PREFIX
from shared.contracts.manifest import REFERENCE
from shared.errors import NotFound
from shared.models.answers import lake_columns, outcome_source
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.verification import verify_version
from shared.stores.lake import Lake
from shared.stores.model_store import open_model_store

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from shared.contracts.loop_spec import LoopSpec
    from shared.settings import HomeostatSettings


@dataclass(frozen=True)
class LiveVersion:
    """`reference`: the rows it was validated on: event_time, features, outcome, answers."""

    version: str
    loop: LoopSpec
    reference: pa.Table


def live_version(settings: HomeostatSettings, model: str) -> LiveVersion:
    """Fetch and verify it. Raises NotFound for a model without a release, IntegrityError, DependencyUnavailable."""
    keys = Keys(settings.home / "keys")
    store = open_model_store(settings.model_store_url, keys)
    release = store.live_release(model)
    if release is None:
        known = ", ".join(store.models())
        raise NotFound(
            f"{settings.home} has no released model {model}",
            hint=f"it has {known}" if known else "name the home with --home, or deploy a version first",
        )
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "version"
        store.get_version(model, release.version, into)
        manifest = verify_version(into, version=release.version, verifying_key=keys.verifying)
        return LiveVersion(release.version, manifest.loop, pq.read_table(into / REFERENCE))


def logged_rows(
    settings: HomeostatSettings, loop: LoopSpec, last: timedelta, maximum_rows: int = 0
) -> pa.Table:
    """The newest predictions of a model in the lake: all within `last` of the newest one, with outcomes where they are known.

    `maximum_rows`: only so many of them, the newest; 0: all.
    Columns: event_time, generation, the answer, the features, outcome. Raises NotFound where there are none.
    """
    lake = Lake(settings.lake_url)
    newest: datetime | None = lake.watermark(loop.model)
    if newest is None:
        raise NotFound(
            f"the lake {settings.lake_url} has no predictions of {loop.model}",
            hint="send a prediction request first",
        )
    answers = lake_columns(loop.prediction) if loop.prediction.has_loss else ()
    joined = lake.read_joined(
        loop.model,
        _start(lake, loop.model, newest, last, maximum_rows),
        newest + newest.resolution,
        columns=["event_time", "generation", *answers],
        features=loop.features,
        source=outcome_source(loop.prediction),
        excluded_senders=loop.excluded_senders,
    )
    kept = [name for name in joined.column_names if name not in ("prediction_id", "observed_at")]
    if not loop.prediction.has_loss:
        kept.remove("outcome")
    joined = joined.slice(max(0, joined.num_rows - maximum_rows)) if maximum_rows else joined
    return joined.select(kept).rename_columns([name.removeprefix(FEATURE_PREFIX) for name in kept])


def _start(lake: Lake, model: str, newest: datetime, last: timedelta, maximum_rows: int) -> datetime:
    """Where the newest `maximum_rows` rows begin, so that no other row is joined: one column is read to find it."""
    start = newest - last
    if not maximum_rows:
        return start
    times = lake.read_predictions(model, start, newest + newest.resolution, ["event_time"])["event_time"]
    if len(times) <= maximum_rows:
        return start
    found: datetime = times.take(pc.sort_indices(times))[len(times) - maximum_rows].as_py()
    return found
