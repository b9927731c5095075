from __future__ import annotations

import pytest

from shared.errors import OperatorError
from shared.http.server import open_listener


def test_taken_port_names_its_setting() -> None:
    with open_listener("127.0.0.1", 0, "HOMEOSTAT_X_PORT") as first:
        port = first.getsockname()[1]
        with pytest.raises(OperatorError, match=f"port {port} on 127.0.0.1 cannot be opened") as refused:
            open_listener("127.0.0.1", port, "HOMEOSTAT_X_PORT")
    assert "HOMEOSTAT_X_PORT" in refused.value.hint
