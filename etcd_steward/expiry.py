"""What has ended: certificates of members that run, so that nobody is heard any more, and the authorities themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from etcd_steward.certificates import Authority, Role, bundle, read_certificate
from etcd_steward.credentials import Credentials
from etcd_steward.errors import Complaint
from etcd_steward.observed import HostState
from etcd_steward.topology import Cluster, Member

__all__ = ["ended", "lapsed", "outlived", "spent"]

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


def outlived(credentials: Credentials, now: datetime) -> list[Authority]:
    """List the authorities that the hosts carry where all of a kind have ended: nothing that is shown is believed any more.

    Args:
        credentials: what is here and what the hosts carry.
        now: the controller's time.

    Returns:
        The authorities; empty while at least one of each kind has not ended.
    """
    kinds = [bundle(pem) for pem in credentials.carried or ()]
    return [one for kind in kinds if all(_ended(one, now) for one in kind) for one in kind]


def spent(credentials: Credentials, now: datetime, *, signing: bool = True) -> Complaint | None:
    """Say that certificates are of no use, or cannot be made, as an authority has ended itself.

    Args:
        credentials: what is here and what the hosts carry.
        now: the controller's time.
        signing: whether something has to be signed here.

    Returns:
        The complaint; None where those that sign here are valid, and at least one of each kind that the hosts carry.
    """
    here = credentials.here if signing and credentials.signing else None
    useless = outlived(credentials, now)
    signers = [one for one in (here.client, here.peer) if _ended(one, now)] if here else []
    if not useless and not signers:
        return None
    told = dict.fromkeys(
        f"{one.certificate.subject.rfc4514_string()} on {one.certificate.not_valid_after_utc:%Y-%m-%d}"
        for one in useless or signers
    )
    cure = (
        'no verb gets out of this yet: see "The authorities themselves have ended" in docs/troubleshooting.md'
        if useless
        else "run deploys/rotate_ca.py, as the hosts trust others already"
    )
    return Complaint(
        credentials.cluster.name,
        f"authorities that have ended ({', '.join(told)})",
        f"valid ones on {now:%Y-%m-%d}, which is this machine's date",
        cure,
    )


def _ended(authority: Authority, now: datetime) -> bool:
    return authority.certificate.not_valid_after_utc <= now
