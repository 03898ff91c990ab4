"""The one way in which a folder of a run that has ended is removed from a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paramiko import SSHException
from pyinfra.api import StringCommand

from etcd_steward.shell import script
from etcd_steward.talk import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyinfra.api import Host

    from etcd_steward.run import ClusterRun

__all__ = ["as_login", "sweep"]


def as_login(host: Host, command: str) -> tuple[bool, list[str]]:
    """Run a command by the account that pyinfra logs in with, and no other.

    Args:
        host: the host.
        command: shell text that holds no secret.

    Returns:
        Whether it succeeded, and its lines.
    """
    try:
        done, output = host.run_shell_command(StringCommand(command))
    except (OSError, SSHException):
        return False, []
    return done, list(output.stdout.splitlines())


def sweep(run: ClusterRun, host: Host, paths: Sequence[str]) -> None:
    """Remove folders; each as the account that it belongs to, so that nobody lends root's hand to anything else.

    Args:
        run: the run.
        host: the host.
        paths: the folders; what is not plainly named, is a link, or belongs to a third account stays.
    """
    if paths:
        question = script("sweep.sh", abandoned=paths)
        ask(run, host.name, question)
        as_login(host, question + "")
