"""Members that run while their certificates have ended: nobody is heard any more, though nothing else is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from etcd_steward.certificates import Role, read_certificate
from etcd_steward.observed import HostState
from etcd_steward.topology import Cluster, Member

__all__ = ["ended", "lapsed"]

# A client's certificate that has ended keeps nobody from being healthy.
_NEEDED: tuple[Role, ...] = ("server", "peer", "health")


def ended(member: Member, state: HostState, now: datetime) -> list[Role]:
    """List the roles without whose certificate a member cannot be healthy, and whose certificate has ended.

    Args:
        member: the member.
        state: what the probe of its host told.
        now: the controller's time.

    Returns:
        The roles.
    """
    found = {
        role: read_certificate(
            state.certificates.get(member.settings.certificate_path(role, member.name), "")
        )
        for role in _NEEDED
    }
    return [role for role, facts in found.items() if facts is not None and facts.not_after <= now]


def lapsed(cluster: Cluster, hosts: Mapping[str, HostState], now: datetime) -> tuple[str, ...]:
    """Name the hosts whose member runs and is not healthy, with a certificate that has ended.

    Args:
        cluster: the cluster.
        hosts: what the probes told.
        now: the controller's time.

    Returns:
        Their inventory names.
    """
    return tuple(
        member.host
        for member in cluster.members
        if hosts[member.host].service.running
        and not hosts[member.host].endpoint.healthy
        and ended(member, hosts[member.host], now)
    )
