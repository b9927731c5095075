"""`POST /outcomes`: the truth about predictions, one or many, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from services.inference.http.outcome_items import OutcomeItem, check_item, split_items
from services.inference.http.request import Request
from services.inference.http.response import Answer, json_answer
from services.inference.metrics import InferenceMetrics
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.prediction.recorder import Recorder
from shared.contracts.prediction_id import PredictionIds
from shared.errors import OperatorError
from shared.http.json_body import parse_json

_BETWEEN_TURNS = 250  # outcomes checked before other requests get a turn: about a millisecond


class OutcomesDoor:
    """Answers `/outcomes`."""

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
        """`known_models`: every model of the release log, whether it is loaded here or not."""
        self._slots = slots
        self._recorder = recorder
        self._ids = ids
        self._metrics = metrics
        self._maximum = maximum_outcomes
        self._known_models = known_models

    async def post(self, request: Request) -> Answer:
        """Check every outcome, then record them. The same outcome again is taken again: the lake keeps one."""
        document = parse_json(request.body, dict)
        raw = split_items(document, most=self._maximum)
        kinds = {servable.model: servable.manifest.prediction.kind for servable in self._slots.current()}
        if not kinds:
            raise OperatorError(
                "no model is served yet, so prediction ids cannot be told apart",
                hint="send the outcomes again later",
            )
        now = datetime.now(UTC)
        models = list(kinds)

        def model_of(identity: str) -> str:
            for model in models:
                if self._ids.is_ours(identity, model):
                    return model
            # A 404 is final: clients drop the outcome. Of a model that is still being loaded it is only early.
            for model in self._known_models():
                if self._ids.is_ours(identity, model):
                    raise OperatorError(
                        f"model {model} is not loaded here, so its outcomes cannot be checked",
                        hint="send them again later; /status tells what is loaded and why something is not",
                    )
            return ""

        items: list[OutcomeItem] = []
        for row, item in enumerate(raw):
            if row % _BETWEEN_TURNS == _BETWEEN_TURNS - 1:
                await asyncio.sleep(0)  # a long list must not hold up predictions
            items.append(check_item(item, row=row, model_of=model_of, kind_of=kinds.__getitem__, now=now))
        by_model: dict[str, list[OutcomeItem]] = {}
        for item in items:
            by_model.setdefault(item.model, []).append(item)
        for model, group in by_model.items():
            kept = self._recorder.outcomes(
                model,
                prediction_ids=[item.prediction_id for item in group],
                values=[item.value for item in group],
                observed_at=[item.observed_at for item in group],
                received_at=now,
                traceparent=request.traceparent(),
            )
            if not kept:
                # A prediction is still worth answering when the log is full; an outcome is nothing but its record.
                raise OperatorError(
                    "the spool is full, so outcomes cannot be kept",
                    hint="send them again when the log has caught up",
                )
            self._metrics.outcomes(model, len(group))
        return json_answer({"accepted": len(items)}, 202)
