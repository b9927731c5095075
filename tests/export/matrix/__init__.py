"""What `homeostat.export` takes and what it refuses: one case per model. `docs/what-fits.md` shows the same table."""

from tests.export.matrix.boosters import CATBOOST, LIGHTGBM, XGBOOST
from tests.export.matrix.column_types import COLUMN_TYPES
from tests.export.matrix.combined import COMBINED, STEPS
from tests.export.matrix.scikit_learn import SCIKIT_LEARN
from tests.export.matrix.text import TEXT

LIBRARIES = {
    "scikit-learn": SCIKIT_LEARN,
    "XGBoost": XGBOOST,
    "LightGBM": LIGHTGBM,
    "CatBoost": CATBOOST,
    "text": TEXT,
    "combined": COMBINED,
    "steps": STEPS,
    "column types": COLUMN_TYPES,
}
