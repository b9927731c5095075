"""Texts unlike those of the rows, which the original and the export are compared on. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence

MAX_TEXTS = 6
_MAX_LENGTH = 100_000
# The one character that onnxruntime does not lower-case as Python does: Python makes it two, of which the second ends a word.
DOTTED_I = "\u0130"
DOTTED_I_ADVICE = (
    f"lower case of {DOTTED_I} (U+0130) is two characters in Python and one in the exported model: lower-case the column "
    "yourself before you fit and send it, with lowercase=False"
)
_REWRITTEN: tuple[Callable[[str], str], ...] = (
    str.upper,
    str.title,
    str.swapcase,
    lambda text: ", ".join(text.split()) + "!",
    lambda text: "-".join(text.split()),
    lambda text: "\u00a0\t\n".join(text.split()),
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: unicodedata.normalize("NFC", text),
    lambda text: f"123 {text}\U0001f600 4.5 \U0001f44d\U0001f3fd",
    lambda text: "".join(text.split()),
)
_FIXED = (
    "",
    " \n\t",
    "!?",
    "0 1 234 5_6",
    "\U0001f600\U0001f389",
    "Été à Zürich, ÉTÉ À ZÜRICH",
    "Привет ПРИВЕТ мир",
    "a b c 中文 日本語",
)


def dotted(texts: Sequence[str]) -> Iterator[str]:
    """The texts with a dotted capital I before each word, and in the place of each i."""
    for text in texts[:MAX_TEXTS]:
        yield " ".join(DOTTED_I + word for word in text.split())
        yield text.replace("i", DOTTED_I)


def unlike(texts: Sequence[str]) -> Iterator[str]:
    """Upper case, punctuation, accents, emojis, digits, white space, no text, and one long text."""
    for text in texts[:MAX_TEXTS]:
        yield from (rewrite(text) for rewrite in _REWRITTEN)
    yield from _FIXED
    if any(texts):
        together = " ".join(texts)
        yield (together + " ") * (_MAX_LENGTH // (len(together) + 1) + 1)
