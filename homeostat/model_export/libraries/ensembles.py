"""Reads the ensemble of a fitted tree estimator, where the estimator is one: alone, or as the last step of a pipeline."""

from __future__ import annotations

from typing import Any

from homeostat.model_export.trees.ensemble import Ensemble


def read_ensemble(estimator: Any, *, class_place: int | None, classes: int = 0) -> Ensemble | None:
    """The ensemble of an estimator on a matrix of numbers; None if it is none.

    `class_place`: the place of the class whose probability is the score, if it is one of two; `classes`: how many, if several.
    """
    name, package = type(estimator).__name__, type(estimator).__module__.partition(".")[0]
    flipped = class_place == 0
    if package == "sklearn":
        from homeostat.model_export.libraries.forests import (
            BOOSTING,
            FORESTS,
            read_forest,
            read_gradient_boosting,
        )

        if name in FORESTS:
            return read_forest(estimator, class_place=class_place, classes=classes)
        if name in BOOSTING:
            return read_gradient_boosting(estimator, flipped=flipped)
        if name.startswith("HistGradientBoosting"):
            from homeostat.model_export.libraries.hist_gradient_boosting import read_hist_gradient_boosting

            return read_hist_gradient_boosting(estimator, flipped=flipped)
    if package == "xgboost":
        from homeostat.model_export.libraries.xgboost_model import (
            missing_number,
            read_booster,
            used_iterations,
        )

        return read_booster(
            estimator.get_booster(),
            (),
            used_iterations(estimator.get_booster()),
            flipped=flipped,
            missing=missing_number(estimator),
        )
    if package == "lightgbm":
        from homeostat.model_export.libraries.lightgbm_model import read_booster as read_lightgbm

        return read_lightgbm(estimator.booster_, (), None, flipped=flipped)
    if package == "catboost":
        from homeostat.model_export.libraries.catboost_model import read_catboost

        return read_catboost(estimator, flipped=flipped)
    return None
