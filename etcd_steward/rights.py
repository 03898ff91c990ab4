"""etcd's own authentication: a cluster that knows no user of ours answers, and refuses; that is no lost quorum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from etcd_steward.errors import Complaint
from etcd_steward.work import leaf_spec

if TYPE_CHECKING:
    from etcd_steward.observed import HostState
    from etcd_steward.topology import Member

__all__ = ["cure", "lacking", "lacking_rights", "user"]


def user(member: Member) -> str:
    """Name etcd's user of the host's own health pair: the common name of its certificate.

    Args:
        member: on whose host.
    """
    return leaf_spec(member, "health").common_name


def cure(member: Member) -> str:
    """Say how etcd comes to know that user.

    Args:
        member: on whose host.
    """
    name = user(member)
    return f"as root of etcd: etcdctl user add {name} --no-password && etcdctl user grant-role {name} root"


def lacking(member: Member, state: HostState) -> Complaint | None:
    """Tell of a member that answers, and refuses what it is asked for want of a user.

    Args:
        member: the member.
        state: what the probe told of its host.

    Returns:
        What is lacking, or None where nothing is.
    """
    said = state.endpoint.locked
    if not said:
        return None
    return Complaint(
        member.host,
        f"etcd's authentication enabled, and no rights for us ({said})",
        f"the user {user(member)} with the role root",
        cure(member),
    )


def lacking_rights(members: Iterable[Member], hosts: Mapping[str, HostState]) -> list[Complaint]:
    """Tell of all members that refuse what they are asked.

    Args:
        members: the members.
        hosts: what the probes told.
    """
    return [told for member in members if (told := lacking(member, hosts[member.host])) is not None]
