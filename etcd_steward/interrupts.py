"""Ctrl-C and SIGTERM end a run within seconds: nothing new is begun, the lock is given back, and the exit status tells it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import gevent
from pyinfra import logger

from etcd_steward.waits import ending

if TYPE_CHECKING:
    from types import FrameType

    from pyinfra.api import State

__all__ = ["end_tidily"]

_PYINFRAS = "pyinfra_cli.main"


def end_tidily(state: State) -> None:
    """Take the place of pyinfra's answer to Ctrl-C, which ends with status 0 (3.10), and answer SIGTERM alike.

    Args:
        state: pyinfra's state.
    """
    # Only where its command line has set one: a program or a test that uses pyinfra has answers of its own.
    if getattr(signal.getsignal(signal.SIGINT), "__module__", "") != _PYINFRAS:
        return
    told: list[int] = []

    def answer(number: int, _frame: FrameType | None) -> None:
        if told:
            # Whoever asks twice does not want to wait for hosts.
            os._exit(128 + number)
        told.append(number)
        ending()
        logger.warning(
            f"    {signal.Signals(number).name}: gives the lock back and ends; a command that a host was given is "
            "done there to its end. next: run the same verb again"
        )
        # They would begin the next command while the lock is given back, and pyinfra disconnects by the same pool.
        if state.pool is not None:
            state.pool.kill(block=False)
        # Wherever the signal came in, the run ends where pyinfra waits for it; its `finally` disconnects.
        gevent.get_hub().handle_system_error(SystemExit, SystemExit(128 + number))

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, answer)
