"""System accounts."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand

from etcd_steward.shell import script

__all__ = ["Account"]


class Account(FactBase[bool]):
    """Returns whether a system account and its group exist, in the host's own files or wherever else it has them from."""

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
        return StringCommand(script("groups.sh", "account-there.sh", user=user, group=group))

    def process(self, output: list[str]) -> bool:
        """Read the answer."""
        return list(output) == ["yes"]
