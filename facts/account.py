"""System accounts."""

from __future__ import annotations

import shlex

from pyinfra.api import FactBase, StringCommand

__all__ = ["Account"]


class Account(FactBase[bool]):
    """Returns whether a system account and its group exist."""

    @staticmethod
    def default() -> bool:
        """Tell that there is none."""
        return False

    def command(self, user: str, group: str) -> StringCommand:
        """Make the command.

        Args:
            user: name of the account.
            group: name of the group.
        """
        return StringCommand(
            f"id {shlex.quote(user)} >/dev/null 2>&1 && grep -q ^{shlex.quote(group)}: /etc/group && echo yes || true"
        )

    def process(self, output: list[str]) -> bool:
        """Read the answer."""
        return list(output) == ["yes"]
