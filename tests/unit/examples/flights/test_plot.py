from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from examples.flights.plot import weekly, write_html, write_png


def test_both_pictures_are_drawn_and_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    times = pd.Series(pd.date_range("2013-01-15", periods=2000, freq="h", tz="UTC"))
    weeks = weekly(times, {"first": np.full(2000, 0.6), "served": np.full(2000, 0.5)})
    assert len(weeks) == 12
    assert weeks.served.round(6).eq(0.5).all()
    releases = [pd.Timestamp("2013-02-01", tz="UTC")]
    write_png(weeks, releases, tmp_path / "year.png")
    write_html(weeks, releases, tmp_path / "year.html")
    assert (tmp_path / "year.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "year.html").read_text()
    assert page.count("<polyline") == 2
    assert page.count("<line") == 1
    assert not re.search(r"https?://|src=|href=|@import", page)
