"""How pyinfra was started, as far as its own state does not tell."""

from __future__ import annotations

import sys

import pyinfra

__all__ = ["asks_for_json", "one_by_one"]


def one_by_one() -> str:
    """Tell whether hosts are not worked on side by side, operation by operation.

    Returns:
        The option that says so, or an empty text; pyinfra 3.10 keeps it nowhere but on its command line.
    """
    if not pyinfra.is_cli:
        return ""
    return next((option for option in ("--serial", "--no-wait") if option in sys.argv), "")


def asks_for_json() -> bool:
    """Tell whether pyinfra was asked for its own JSON, which has standard output to itself.

    Returns:
        True with pyinfra's `--json`, which pyinfra 3.10 keeps nowhere but on its command line.
    """
    return pyinfra.is_cli and "--json" in sys.argv
