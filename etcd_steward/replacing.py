"""The way out for a member that is down for good: the same words wherever one is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etcd_steward.topology import Member

__all__ = ["replacing"]


def replacing(member: Member) -> str:
    """Say how a member is had again that does not start with its data, while the others are well.

    Args:
        member: the member.

    Returns:
        The end of a sentence, with the command.
    """
    verb = "static_pods" if member.settings.pod else "etcd"
    return (
        f"where it does not start with its data, run deploys/{verb}.py --data etcd_replace={member.name}, "
        "which moves the data aside and lets it join anew"
    )
