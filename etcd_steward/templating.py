"""Reads the package's templates, wherever pyinfra was started."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import jinja2

__all__ = ["render", "text"]


def text(name: str) -> str:
    """Read a file of `templates/` as it is.

    Args:
        name: the file's name.

    Returns:
        Its content.
    """
    return resources.files("etcd_steward.templates").joinpath(name).read_text(encoding="utf-8")


def render(template: str, /, **values: Any) -> str:
    """Fill in a template of `templates/`.

    Args:
        template: the file's name.
        values: what it uses; a value that is missing is an error.

    Returns:
        The text.
    """
    return _template(template).render(**values)


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=False,
        autoescape=False,  # noqa: S701
    )
    return environment.from_string(text(name))
