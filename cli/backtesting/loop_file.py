"""Changes values in the text of a loop.yaml, and leaves everything else as it is: comments, order, spelling of other values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from shared.errors import ProjectError


def with_values(text: str, path: str, values: Mapping[str, Any]) -> str:
    """The text with `values` in the mapping at the top-level key `path`; keys that it lacks are added at its end.

    A comment in the line of a value that is replaced, or between its lines, goes with it. A mapping written in braces is replaced
    as a whole. Raises ProjectError where the text is not a mapping of keys.

    >>> text = "retraining:\\n  cooldown: 1d  # short\\n  # why\\n  minimum_rows: 50\\n"
    >>> print(with_values(text, "retraining", {"cooldown": "2d"}))
    retraining:
      cooldown: 2d
      # why
      minimum_rows: 50
    <BLANKLINE>
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise ProjectError(
            "loop.yaml is not a YAML mapping of keys", hint="`homeostat init` writes one that works"
        )
    if not text.endswith("\n"):
        text += "\n"
    lines = text.splitlines(keepends=True)
    found = next((value for key, value in root.value if key.value == path), None)
    if found is None:
        return text + _dumped({path: dict(values)}, "")
    if not isinstance(found, yaml.MappingNode) or found.flow_style or not found.value:
        document = yaml.safe_load(text).get(path) or {}
        key = next(key for key, _ in root.value if key.value == path)
        begin, end = key.start_mark.line, _last_line(found) + 1
        return "".join(lines[:begin]) + _dumped({path: {**document, **values}}, "") + "".join(lines[end:])
    indent = " " * found.value[0][0].start_mark.column
    known = {key.value: (key.start_mark.line, _last_line(value)) for key, value in found.value}
    changes = [(begin, end + 1, name) for name, (begin, end) in known.items() if name in values]
    behind = max(end for _, end in known.values()) + 1
    changes += [(behind, behind, name) for name in values if name not in known]
    # From the end, so that line numbers stay true; keys that are added keep their order.
    numbered = [(begin, number, end, name) for number, (begin, end, name) in enumerate(changes)]
    for begin, _, end, name in sorted(numbered, reverse=True):
        lines[begin:end] = [_dumped({name: values[name]}, indent)]
    return "".join(lines)


def _last_line(node: yaml.Node) -> int:
    """The last line with a part of the node: a block ends where the next key begins, after comments and empty lines."""
    if isinstance(node, yaml.ScalarNode) and node.style not in ("|", ">"):
        return int(node.end_mark.line)
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    # A flow collection ends in the line of its bracket, a block of text before the next key.
    return int(node.end_mark.line if node.end_mark.column else node.end_mark.line - 1)


def _dumped(document: dict[str, Any], indent: str) -> str:
    text = "".join(
        yaml.safe_dump(
            {name: value},
            # Braces and brackets inside, but not around the key itself.
            default_flow_style=None if isinstance(value, dict | list) else False,
            sort_keys=False,
            width=110,
            allow_unicode=True,
        )
        for name, value in document.items()
    )
    return "".join(f"{indent}{line}" for line in text.splitlines(keepends=True))
