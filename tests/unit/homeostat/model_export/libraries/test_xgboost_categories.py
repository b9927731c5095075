from __future__ import annotations

from typing import Any

import pytest

from homeostat.model_export.libraries.xgboost_categories import stored_texts

TEXTS = ("debt", "médical", "日本語", "🎉party", "other")


def stored(texts: tuple[str, ...], *, by_characters: bool) -> dict[str, Any]:
    """As XGBoost 3.2 stores categories of pandas, or by bytes, as categories of Arrow."""
    sizes = [len(text) if by_characters else len(text.encode()) for text in texts]
    offsets = [sum(sizes[:place]) for place in range(len(sizes) + 1)]
    raw = "".join(texts).encode()[: offsets[-1]]
    return {"offsets": offsets, "values": [byte - 256 if byte > 127 else byte for byte in raw]}


@pytest.mark.parametrize("by_characters", [True, False])
@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(TEXTS, id="the order of the fit"),
        pytest.param(tuple(sorted(TEXTS)), id="another order"),
        pytest.param((*TEXTS, "unseen"), id="one unseen"),
    ],
)
def test_texts_beyond_ascii_are_read(listed: tuple[str, ...], by_characters: bool) -> None:
    assert stored_texts(stored(TEXTS, by_characters=by_characters), listed) == TEXTS


def test_ascii_needs_no_rows() -> None:
    assert stored_texts(stored(("web", "mall"), by_characters=True), ()) == ("web", "mall")


def test_offsets_that_count_characters_may_cut_whole_texts() -> None:
    """Two bytes of é, and none of the other texts: these are the rows'."""
    encoder = stored(("éé", "a", "b"), by_characters=True)
    assert stored_texts(encoder, ("éé", "a", "b")) == ("éé", "a", "b")


def test_text_that_was_cut_off_and_is_not_in_the_rows_is_refused_with_the_cause() -> None:
    encoder = stored(("日本語", "other", "Zürich"), by_characters=True)
    with pytest.raises(ValueError, match="XGBoost truncated category 3 of 3.*astype"):
        stored_texts(encoder, ("日本語",))
