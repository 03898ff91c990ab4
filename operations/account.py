"""The system account that runs etcd."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import context
from pyinfra.api import StringCommand, operation

from etcd_steward.facts.account import Account
from etcd_steward.shell import script

__all__ = ["present"]


@operation()
def present(
    user: str = "etcd",
    group: str = "etcd",
    uid: int | None = None,
    gid: int | None = None,
    missing: bool | None = None,
) -> Generator[StringCommand, None, None]:
    """
    Make a system account without login shell, home or password, and its group.

    pyinfra's own `server.user` needs `useradd`, which Alpine lacks.

    + user: name of the account
    + group: name of its group
    + uid: its number; otherwise the next free system number
    + gid: the group's number
    + missing: whether it has to be made, where the caller knows; otherwise the host is asked

    **Example:**

    .. code:: python

        from etcd_steward.operations import account

        account.present(name="Make the etcd account", user="etcd", group="etcd")
    """
    host = context.host
    if missing is None:
        missing = not host.get_fact(Account, user=user, group=group)
    if not missing:
        host.noop(f"account {user} is already there")
        return
    yield StringCommand(
        script("guard.sh", "groups.sh", "account.sh", user=user, group=group, uid=uid, gid=gid)
    )
