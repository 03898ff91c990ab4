"""YAML whose values every reader takes for what they are: texts are quoted, as YAML 1.1 makes numbers of 12e4 and of no."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["is_plain", "yaml_text"]


def yaml_text(value: Mapping[str, Any]) -> str:
    """Write a mapping as YAML in blocks.

    Args:
        value: texts, numbers, booleans, lists and mappings; see `is_plain`.

    Returns:
        Lines of text.
    """
    return "".join(f"{line}\n" for line in _mapping(value))


def is_plain(value: object) -> bool:
    """Tell whether a value can be written, and read back the same.

    Args:
        value: anything.
    """
    if isinstance(value, str):
        return not value or value.isprintable()
    if isinstance(value, Mapping):
        return all(
            isinstance(key, str) and key and is_plain(key) and is_plain(one) for key, one in value.items()
        )
    if isinstance(value, list):
        return all(map(is_plain, value))
    return isinstance(value, int) and abs(value) < 1 << 63


def _mapping(value: Mapping[str, Any]) -> Iterator[str]:
    for key, one in value.items():
        # Short words such as `no` or `y` are no texts to older readers.
        bare = re.fullmatch(r"(?!(?i:true|null|false)$)[A-Za-z][A-Za-z0-9-]{3,}", key)
        name = key if bare else json.dumps(key, ensure_ascii=False)
        nested = list(_nested(one))
        if nested:
            yield f"{name}:"
            yield from (f"  {line}" for line in nested)
        else:
            yield f"{name}: {json.dumps(one, ensure_ascii=False)}"


def _nested(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _mapping(value)
    elif isinstance(value, list):
        for one in value:
            nested = list(_nested(one)) or [json.dumps(one, ensure_ascii=False)]
            yield f"- {nested[0]}"
            yield from (f"  {line}" for line in nested[1:])
