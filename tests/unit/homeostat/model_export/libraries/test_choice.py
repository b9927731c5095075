from __future__ import annotations

import pandas as pd
import pytest

from homeostat.model_export.libraries.choice import source_model
from shared.errors import ExportRefused


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(ExportRefused, match="builtins.dict is not a model"):
        source_model({}, pd.DataFrame(), None, options={})
