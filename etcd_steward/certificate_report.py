"""What an operator is told of a member's certificates and their keys."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from etcd_steward.certificates import Role, bundle, read_certificate
from etcd_steward.errors import Complaint
from etcd_steward.work import ROLES

if TYPE_CHECKING:
    from etcd_steward.observed import HostState
    from etcd_steward.topology import Member

__all__ = ["days_by_kind", "judged"]

_AUTHORITIES = ("ca", "peer_ca")
_TROUBLE = "see docs/troubleshooting.md"
_RUN = "run deploys/etcd.py"
_RENEW = "run deploys/renew.py"
_ROTATE = "run deploys/rotate_ca.py"


def days_by_kind(member: Member, state: HostState, now: datetime) -> dict[str, int | None]:
    """Count the days until each certificate of a member ends.

    Args:
        member: the member.
        state: what the probe of its host told.
        now: the controller's time.

    Returns:
        Whole days for each that is there, negative where it has ended, None where it cannot be read.
    """
    days: dict[str, int | None] = {}
    for kind in (*_AUTHORITIES, *ROLES):
        pem = state.certificates.get(member.settings.certificate_path(kind, member.name))
        if pem is not None:
            ends = [one.certificate.not_valid_after_utc for one in bundle(pem)]
            days[kind] = min(((end - now).days for end in ends), default=None)
    return days


def judged(member: Member, state: HostState, now: datetime) -> tuple[list[Complaint], list[str]]:
    """Judge the certificates of a member whose host was looked at with root's rights.

    Args:
        member: the member.
        state: what the probe of its host told.
        now: the controller's time.

    Returns:
        What is wrong, and what should only be known.
    """
    ended, ending = _unpaired(member, state), []
    for kind, days in days_by_kind(member, state, now).items():
        path = member.settings.certificate_path(kind, member.name)
        cure = _TROUBLE if kind in _AUTHORITIES else _RENEW
        if days is None:
            ended.append(Complaint(member.host, f"{path}, which cannot be read", "a certificate", cure))
        elif days < 0:
            ended.append(Complaint(member.host, f"{path}, expired for {-days} days", "a valid one", cure))
        elif days <= member.settings.etcd_renew_days:
            # Once it has ended, an authority cannot be rotated any more.
            cure = _ROTATE if kind in _AUTHORITIES else _RENEW
            ending.append(f"{member.host}: {path} ends in {days} days; next: {cure}")
    return ended, ending


def _unpaired(member: Member, state: HostState) -> list[Complaint]:
    """Find what is missing, or does not fit, though the process may go on with what it has read."""
    if not state.service.exists or (state.data.value == "empty" and not state.certificates):
        # Nobody's member yet; a definition may come with a package of the distribution.
        return []
    # Renewing starts nobody; a member that does not run is given its certificates when it is started.
    cure = _RENEW if state.service.running else _RUN
    complaints = [
        Complaint(member.host, f"no {path}", "the authority that the member trusts", _RUN)
        for path in (member.settings.certificate_path(kind, member.name) for kind in _AUTHORITIES)
        if path not in state.certificates
    ]
    for role in ROLES:
        found = _unfit(member, state, role)
        if found:
            complaints.append(Complaint(member.host, found, "a certificate and its own key", cure))
    return complaints


def _unfit(member: Member, state: HostState, role: Role) -> str:
    path, key_path = (member.settings.certificate_path(kind, member.name) for kind in (role, f"{role}_key"))
    pem, key = state.certificates.get(path), state.files.get(key_path)
    if pem is None:
        return f"no {path}"
    if key is None:
        return f"{path} without {key_path}"
    facts = read_certificate(pem)
    # A certificate that says nothing of its key is no proof that the two do not fit.
    if facts is None or facts.key_sha256 in {None, key.sha256}:
        return ""
    return f"{key_path}, which is not the key of {path}"
