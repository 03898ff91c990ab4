"""Ends an operation early: with a sentence where it fails, and before its work where nothing may be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyinfra.api import FunctionCommand, Host, State, StringCommand

if TYPE_CHECKING:
    from etcd_steward.rollout import Failures

__all__ = ["fail", "failing", "not_now"]


def fail(state: State, host: Host, message: str) -> bool:
    """Tell what is wrong and fail.

    Args:
        state: pyinfra's state.
        host: the host that fails.
        message: what was found, what was wanted, what to do next.

    Returns:
        False, always, which is how a function fails its operation.
    """
    del state
    host.log_styled(message, fg="red")
    return False


def failing(message: str) -> FunctionCommand:
    """Make the command that fails an operation.

    Args:
        message: what was found, what was wanted, what to do next.

    Returns:
        The command.
    """
    return FunctionCommand(fail, (message,), {})


def not_now(
    host: Host, failures: Failures, planned: StringCommand, undone: str
) -> StringCommand | FunctionCommand | None:
    """Give what an operation yields instead of its work.

    Args:
        host: the host that pyinfra is working on.
        failures: who has failed anything in this run.
        planned: what tells the work while it is only planned.
        undone: what is left undone after a failure, such as "not started".

    Returns:
        The command, or None where the work is to be done.
    """
    if not host.state.is_executing:
        return planned
    return failing(failures.told(undone)) if failures.hosts else None
