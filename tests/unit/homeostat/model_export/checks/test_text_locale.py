from __future__ import annotations

from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from homeostat.model_export.checks.text_locale import locale_warnings


def graph(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    texts = helper.make_tensor_value_info("texts", TensorProto.STRING, [None])
    return helper.make_graph(nodes, "texts", [texts], [])


def normalizer(**options: Any) -> onnx.NodeProto:
    return helper.make_node("StringNormalizer", ["texts"], ["lower"], case_change_action="LOWER", **options)


def test_locale_that_the_server_may_lack_is_warned_of() -> None:
    assert locale_warnings(helper.make_model(graph(normalizer()))) == [
        "the model needs the locale en_US.UTF-8 on the machine of the server, because of its StringNormalizer: "
        "set locale='C' (ASCII letters) or 'C.UTF-8' (all letters) on that node, or install the locale there"
    ]
    [said] = locale_warnings(helper.make_model(graph(normalizer(locale="tr_TR.UTF-8"))))
    assert "the locale tr_TR.UTF-8 on" in said


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_usual_locale_is_fine(locale: str) -> None:
    assert locale_warnings(helper.make_model(graph(normalizer(locale=locale)))) == []


def test_locale_in_a_branch_is_found() -> None:
    branch = helper.make_node("If", ["one"], ["lower"], then_branch=graph(normalizer()))
    assert len(locale_warnings(helper.make_model(graph(branch)))) == 1
