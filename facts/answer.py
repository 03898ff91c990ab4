"""The answer of a script that only asks."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand

from etcd_steward.answers import clean
from etcd_steward.shell import Script

__all__ = ["Answer"]


class Answer(FactBase[list[str]]):
    """Returns the lines that a script printed; for this package's own questions to a member."""

    default = list

    def command(self, ask: Script) -> StringCommand:
        """Make the command.

        Args:
            ask: the script.
        """
        return StringCommand(ask)

    def process(self, output: list[str]) -> list[str]:
        """Take the lines, without what could steer a terminal."""
        return [clean(line) for line in output]
