"""`POST /outcomes`: the outcomes (ground truth) of predictions, one or many, all or none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from services.inference.http.outcome_items import OutcomeItem, check_item, split_items
from services.inference.http.request import Request
from services.inference.http.response import Response, json_response
from services.inference.metrics import InferenceMetrics
from services.inference.models.servable import Servable
from services.inference.on_demand.model_pool import ModelPool
from services.inference.prediction.recorder import Recorder
from shared.contracts.prediction_id import PredictionIds
from shared.errors import OperatorError, RowsNotReady
from shared.http.json_body import parse_json

_CHECKED_PER_TURN = 250  # outcomes checked before other requests run: about a millisecond


Known = dict[str, Servable]


class _ModelNotLoaded(Exception):
    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class OutcomesHandler:
    """Handles `/outcomes`."""

    def __init__(
        self,
        models: ModelPool,
        recorder: Recorder,
        ids: PredictionIds,
        metrics: InferenceMetrics,
        *,
        maximum_outcomes: int,
        known_models: Callable[[], Collection[str]],
    ) -> None:
        """`known_models`: every model in the release log, also those that are not loaded here."""
        self._models = models
        self._recorder = recorder
        self._ids = ids
        self._metrics = metrics
        self._maximum = maximum_outcomes
        self._known_models = known_models

    async def post(self, request: Request) -> Response:
        """Check every outcome, then record all. A repeated outcome is accepted again; the lake keeps one."""
        document = parse_json(request.body, dict)
        raw = split_items(document, maximum=self._maximum)
        slots = self._models.slots
        if not slots.names():
            raise OperatorError(
                "no model is loaded yet, so prediction ids cannot be checked",
                hint="retry when /health/ready is 200",
            )
        now = datetime.now(UTC)
        known = self._known()
        items, not_loaded = await self._check(raw, known, now)
        if unloaded := [model for model in not_loaded.values() if slots.unloaded(model)]:
            # One model per request: a list may hold outcomes of hundreds.
            self._models.release(await self._models.acquire(unloaded[0]))
            known = self._known()
            items, not_loaded = await self._check(raw, known, now)
        if not_loaded:
            raise RowsNotReady(
                f"model {min(not_loaded.values())} is not loaded here, so its outcomes cannot be checked",
                rows=list(not_loaded),
                hint="retry later; /status shows which models are loaded and why others are not",
            )
        by_model: dict[str, list[OutcomeItem]] = {}
        for item in items:
            by_model.setdefault(item.model, []).append(item)
        for model, group in by_model.items():
            stored = self._recorder.outcomes(
                model,
                prediction_ids=[item.prediction_id for item in group],
                values=[item.value for item in group],
                observed_at=[item.observed_at for item in group],
                received_at=now,
                traceparent=request.traceparent(),
                labels=[item.label for item in group] if known[model].labels else None,
                numbers=[item.numbers for item in group] if known[model].names else None,
                sender=request.sender,
                time_bound=known[model].time_bound,
            )
            if not stored:
                # A prediction is useful even if it is not logged; an outcome is not.
                raise OperatorError(
                    "the spool is full, so outcomes cannot be stored",
                    hint="retry when the shipper has caught up",
                )
            self._metrics.outcomes(model, len(group))
        return json_response({"accepted": len(items)}, 202)

    def _known(self) -> Known:
        """What is known of the live versions, also of those that are unloaded."""
        slots = self._models.slots
        return {name: one for name in slots.names() if (one := slots.description(name)) is not None}

    async def _check(
        self, raw: list[Any], known: Known, now: datetime
    ) -> tuple[list[OutcomeItem], dict[int, str]]:
        """The outcomes, and the models of those that cannot be checked here yet, by row. Raises InvalidRequest, NotFound."""

        def model_of(identity: str) -> str:
            for model in known:
                if self._ids.is_ours(identity, model):
                    return model
            # A 404 is final: clients drop the outcome. While its model is still loading, the outcome is only early.
            for model in self._known_models():
                if self._ids.is_ours(identity, model):
                    raise _ModelNotLoaded(model)
            return ""

        items: list[OutcomeItem] = []
        not_loaded: dict[int, str] = {}
        for row, item in enumerate(raw):
            if row % _CHECKED_PER_TURN == _CHECKED_PER_TURN - 1:
                await asyncio.sleep(0)  # a long list must not delay predictions
            try:
                items.append(
                    check_item(
                        item,
                        row=row,
                        model_of=model_of,
                        prediction_of=lambda model: known[model].manifest.prediction,
                        labels_of=lambda model: known[model].labels,
                        now=now,
                    )
                )
            except _ModelNotLoaded as error:
                not_loaded[row] = error.model
        return items, not_loaded
