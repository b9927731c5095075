"""`POST /outcomes`: the outcomes (ground truth) of predictions, one or many, all or none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from services.inference.http.outcome_items import OutcomeItem, check_item, split_items
from services.inference.http.request import Request
from services.inference.http.response import Response, json_response
from services.inference.metrics import InferenceMetrics
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.prediction.recorder import Recorder
from shared.contracts.prediction_id import PredictionIds
from shared.errors import OperatorError, RowsNotReady
from shared.http.json_body import parse_json

_CHECKED_PER_TURN = 250  # outcomes checked before other requests run: about a millisecond


class _ModelNotLoaded(Exception):
    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class OutcomesHandler:
    """Handles `/outcomes`."""

    def __init__(
        self,
        slots: Slots[Servable],
        recorder: Recorder,
        ids: PredictionIds,
        metrics: InferenceMetrics,
        *,
        maximum_outcomes: int,
        known_models: Callable[[], Collection[str]],
    ) -> None:
        """`known_models`: every model in the release log, also those that are not loaded here."""
        self._slots = slots
        self._recorder = recorder
        self._ids = ids
        self._metrics = metrics
        self._maximum = maximum_outcomes
        self._known_models = known_models

    async def post(self, request: Request) -> Response:
        """Check every outcome, then record all. A repeated outcome is accepted again; the lake keeps one."""
        document = parse_json(request.body, dict)
        raw = split_items(document, maximum=self._maximum)
        loaded = {servable.model: servable for servable in self._slots.current()}
        predictions = {model: servable.manifest.prediction for model, servable in loaded.items()}
        labels = {model: servable.labels for model, servable in loaded.items()}
        if not loaded:
            raise OperatorError(
                "no model is loaded yet, so prediction ids cannot be checked",
                hint="retry when /health/ready is 200",
            )
        now = datetime.now(UTC)
        models = list(predictions)

        def model_of(identity: str) -> str:
            for model in models:
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
                        prediction_of=predictions.__getitem__,
                        labels_of=labels.__getitem__,
                        now=now,
                    )
                )
            except _ModelNotLoaded as error:
                not_loaded[row] = error.model
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
                labels=[item.label for item in group] if labels[model] else None,
                numbers=[item.numbers for item in group] if predictions[model].names else None,
            )
            if not stored:
                # A prediction is useful even if it is not logged; an outcome is not.
                raise OperatorError(
                    "the spool is full, so outcomes cannot be stored",
                    hint="retry when the shipper has caught up",
                )
            self._metrics.outcomes(model, len(group))
        return json_response({"accepted": len(items)}, 202)
