"""One member at a time: whose turn it is, and why nobody else gets one after a failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.lock import BoundedSemaphore
from pyinfra.api import Host, State
from pyinfra.api.state import BaseStateCallback

__all__ = ["Failures", "Rollout"]


class Failures(BaseStateCallback):
    """Books every failed operation, so that the exit status tells it in all of pyinfra's modes.

    Without it a failure under `--no-wait` ends with status 0 (pyinfra 3.10, api/operations.py).
    """

    def __init__(self) -> None:
        self.hosts: list[str] = []

    def operation_host_error(  # type: ignore[override]
        self,
        state: State,
        host: Host,
        op_hash: str,
        retry_count: int = 0,
        max_retries: int = 0,
    ) -> None:
        """Note that a host failed something."""
        del op_hash, retry_count, max_retries
        self.hosts.append(host.name)
        state.failed_hosts.add(host)

    def told(self, undone: str) -> str:
        """Say why something is left undone after a failure.

        Args:
            undone: what, such as "not started".

        Returns:
            The sentence.
        """
        return f"{undone}: {', '.join(sorted(set(self.hosts)))} failed in this run"


class Rollout:
    """Gives out turns, one at a time, until one of them is not finished.

    pyinfra's `_serial` neither stops after a failure nor holds under `--no-wait`, so the lock is ours.

    Args:
        failures: who has failed anything in this run.
    """

    def __init__(self, failures: Failures) -> None:
        self._lock = BoundedSemaphore(1)
        self._failures = failures
        self._stuck: set[str] = set()
        self._done: dict[str, list[str]] = {}

    @contextmanager
    def turn(self, host: str, passing: str = "") -> Iterator[str]:
        """Wait for the turn of a host.

        A generator that yields commands holds it open: pyinfra drops the generator when a command fails, so the turn
        is only booked as done when everything in it succeeded.

        Args:
            host: whose turn.
            passing: which pass over the members it belongs to, where a run has several.

        Yields:
            Why it may not be taken; empty where it may.
        """
        with self._lock:
            failed = sorted({*self._stuck, *self._failures.hosts} - {host})
            if failed:
                yield f"left untouched, because {', '.join(failed)} failed in this run"
                return
            self._stuck.add(host)
            yield ""
            self._stuck.discard(host)
            self._done.setdefault(passing, []).append(host)

    @contextmanager
    def between(self) -> Iterator[int]:
        """Wait until nobody has the turn, and let no turn begin meanwhile.

        Under `--no-wait` and `--serial` a host is at its end while others still await their turn.

        Yields:
            How many turns there have been.
        """
        with self._lock:
            yield sum(map(len, self._done.values()))

    def done(self, passing: str = "") -> list[str]:
        """List the hosts that have had their turn.

        Args:
            passing: in which pass.

        Returns:
            Their names, in the order of their turns.
        """
        return list(self._done.get(passing, ()))
