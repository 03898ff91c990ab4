"""A host that is up and does not let us do anything: what it says, and what helps; it is never called gone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from etcd_steward.answers import clean

__all__ = ["BRING_BACK", "first", "reason"]

BRING_BACK = "bring it back"
_ROOT = "let this login become root without a terminal and without a password (NOPASSWD, !requiretty), or set _sudo_password"
# How the programs begin that make a login root, when they refuse.
_BECOMES_ROOT = re.compile(r"(^|/)(sudo|doas|su)(-rs)?: ")


def first(mend: str) -> str:
    """Say what has to be done before everything else.

    Args:
        mend: what helps.
    """
    return "bring this host back first" if mend == BRING_BACK else f"{mend}; then run again"


def reason(said: Iterable[str]) -> tuple[str, str]:
    """Say why a host that was reached told nothing.

    Args:
        said: what it wrote to its errors, or the words of what was raised.

    Returns:
        Why, and what to do next; both empty where it wrote nothing.
    """
    lines = [line for one in said if (line := clean(one).strip())]
    refusal = next((line for line in lines if _BECOMES_ROOT.search(line)), "")
    if refusal:
        return f"the login is refused root: {refusal[:200]}", _ROOT
    if "EOFError" in lines:
        return "root asks for a password, and there is no terminal to type it at", _ROOT
    return (lines[-1][:200], "look at what the login's shell says there") if lines else ("", "")
