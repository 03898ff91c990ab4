"""What the facts that are slices of the one probe have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

from pyinfra.api import FactBase, StringCommand

from etcd_steward.facts.probe import own_questions
from etcd_steward.observed import HostState
from etcd_steward.parsing import parse_probe

__all__ = ["Slice"]

T = TypeVar("T")


class Slice(FactBase[T | None], Generic[T]):
    """Asks the whole probe and returns a part of its answer; None where the host gave none."""

    def command(self) -> StringCommand:
        """Make the command, from the host's own settings."""
        return StringCommand(own_questions())

    def process(self, output: list[str]) -> T | None:
        """Take the part out of what the probe printed."""
        state = parse_probe("", list(output))
        return self.describe(state) if state.reached else None

    @abstractmethod
    def describe(self, state: HostState) -> T:
        """Describe a probed host.

        Args:
            state: what the probe told.
        """
