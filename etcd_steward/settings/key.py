"""How a key is declared: with its default, a help text and examples, of which the page of settings is made."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Keys", "key"]


class Keys(BaseModel):
    """Some of the keys; all of them together are `Settings`."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


def key(default: Any, help_text: str, *examples: Any, **rules: Any) -> Any:
    """Declare a key.

    Args:
        default: its value where nothing is said.
        help_text: one sentence for the page of settings.
        examples: values that are accepted; the first is shown.
        rules: further arguments of pydantic's `Field`.

    Returns:
        The field.
    """
    return Field(
        default=default, description=help_text, examples=list(examples), validate_default=False, **rules
    )
