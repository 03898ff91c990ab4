"""Fails an operation with a sentence, where pyinfra would print a traceback."""

from __future__ import annotations

from pyinfra.api import FunctionCommand, Host, State

__all__ = ["fail", "failing"]


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
