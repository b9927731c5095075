from __future__ import annotations

import pytest

from shared.data_checks.report_escaping import escape_script_data

PAGE = (
    "<head><script>\n    var a = {data};\n    var additional_graphs_a = {graphs};\n</script></head>"
    "<script>var b = {};</script>"
)


def page(data: str, graphs: str) -> str:
    return PAGE.replace("{data}", data).replace("{graphs}", graphs)


def test_only_the_data_are_escaped() -> None:
    bad, good = '{"v": ["</script>", NaN]}', '{"v": ["\\u003c/script>", NaN]}'
    assert escape_script_data(page(bad, bad)) == page(good, good)
    assert escape_script_data(page("{}", "{}")) == page("{}", "{}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<script>x</script>",
        PAGE,
        page("{}", "{}").replace(";\n    var additional", ";\nlet additional"),
        page("{", "{}"),
    ],
)
def test_page_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not have the structure|Expecting"):
        escape_script_data(text)
