"""The page around Evidently's report."""

from __future__ import annotations

from shared.data_checks.report_page import report_page


def test_heading_is_escaped_and_the_policy_comes_first() -> None:
    page = report_page("<b>", ["a & b", "c"], "<html><head><style></style></head><body>inner</body></html>")
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert page.index("a &amp; b") < page.index("inner")


def test_page_without_a_report() -> None:
    assert report_page("nothing", []).endswith("</body></html>")
