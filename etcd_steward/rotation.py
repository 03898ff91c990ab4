"""A new authority without an outage: trust both, reissue, trust the new one; the phase is read from the hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from etcd_steward.authority import Authorities, Store
from etcd_steward.certificates import bundle, read_certificate
from etcd_steward.credentials import Credentials, pki_folder
from etcd_steward.errors import Complaint
from etcd_steward.observed import HostState
from etcd_steward.pki import BACKDATE
from etcd_steward.topology import Cluster
from etcd_steward.work import ROLES

__all__ = [
    "Phase",
    "adopt_next",
    "just_made",
    "next_folder",
    "phases_left",
    "reasons_against_rotation",
    "rotated",
    "trust_both_file",
]

Phase = Literal["trust both", "reissue", "trust the new one"]

# A rerun of a rotation that has ended shall not begin another one.
_YOUNG = timedelta(days=1)


def next_folder(cluster: Cluster) -> Path:
    """Say where the next authorities wait until all hosts have them."""
    return pki_folder(cluster.settings) / "next"


def trust_both_file(cluster: Cluster) -> Path:
    """Say where the bundle lies that clients need while a rotation is under way."""
    return pki_folder(cluster.settings) / "next" / "trust-both.pem"


def rotated(credentials: Credentials, phase: Phase) -> Credentials:
    """Change what a cluster trusts and who signs for it, for one phase.

    Args:
        credentials: as they are without a rotation.
        phase: which phase.

    Returns:
        The credentials of that phase; with the next authorities not made yet, every certificate counts as old.
    """
    following = Store(next_folder(credentials.cluster)).load()
    new = (
        ("made when this is executed\n",) * 2
        if following is None
        else (following.client.pem, following.peer.pem)
    )
    old = credentials.carried or new
    both = tuple(_joined(before, after) for before, after in zip(old, new, strict=True))
    if phase == "trust both":
        return replace(credentials, carried=(both[0], both[1]), problem="")
    texts = (both[0], both[1]) if phase == "reissue" else (new[0], new[1])
    return replace(credentials, here=following, carried=texts, problem="", issuers=following)


def _joined(before: str, after: str) -> str:
    return before if after in before else before + after


def phases_left(cluster: Cluster, hosts: Mapping[str, HostState]) -> list[Phase]:
    """Read from the hosts which phases are still to be gone through.

    Args:
        cluster: the cluster.
        hosts: what the probes told.

    Returns:
        The phases; all of them where the next authorities have not been made yet.
    """
    following = Store(next_folder(cluster)).load(keys=False)
    if following is None:
        return ["trust both", "reissue", "trust the new one"]
    trusting, issued, alone = True, True, True
    for member in cluster.members:
        found = hosts[member.host].certificates
        for kind, authority in (("ca", following.client), ("peer_ca", following.peer)):
            prints = [
                one.fingerprint
                for one in bundle(found.get(member.settings.certificate_path(kind, member.name), ""))
            ]
            trusting &= authority.fingerprint in prints
            alone &= prints == [authority.fingerprint]
        for role in ROLES:
            facts = read_certificate(found.get(member.settings.certificate_path(role, member.name), ""))
            issued &= facts is not None and facts.issued_by([following.for_role(role)]) is not None
    left: list[Phase] = []
    if not trusting:
        left.append("trust both")
    if not issued:
        left.append("reissue")
    if not alone:
        left.append("trust the new one")
    return left


def reasons_against_rotation(credentials: Credentials, phases: list[Phase]) -> list[Complaint]:
    """Say why no new authority may be made from this controller.

    Args:
        credentials: what is here and what the hosts carry.
        phases: what is left to do.

    Returns:
        The complaints.
    """
    cluster = credentials.cluster
    begun = Store(next_folder(cluster)).load(keys=False) is not None
    if credentials.carried is None:
        return [
            Complaint(cluster.name, "hosts without an authority", "a cluster", "run deploys/etcd.py first")
        ]
    several = len(bundle(credentials.carried[0])) > 1
    if several and not begun:
        return [
            Complaint(
                cluster.name,
                "hosts that trust two authorities, but no next one in " + str(next_folder(cluster)),
                "the controller that began the rotation",
                "run it from there, or copy its folder here",
            ),
        ]
    if begun or not phases:
        return []
    if credentials.problem and not cluster.settings.etcd_ca_lost:
        return [
            Complaint(
                cluster.name,
                credentials.problem,
                f"the authority that the hosts carry (SHA-256 {bundle(credentials.carried[0])[0].fingerprint})",
                "run from the controller that has it; if its key is lost for ever: --data etcd_ca_lost=true",
            ),
        ]
    return []


def just_made(credentials: Credentials, now: datetime) -> bool:
    """Tell whether the present authority is so young that a rotation has just ended.

    Args:
        credentials: what is here.
        now: the controller's time.
    """
    here = credentials.here
    return here is not None and now - here.client.certificate.not_valid_before_utc < BACKDATE + _YOUNG


def adopt_next(cluster: Cluster, following: Authorities) -> None:
    """Make the next authorities the present ones; the old ones are moved aside.

    Args:
        cluster: the cluster.
        following: the next authorities, which all hosts carry alone.
    """
    folder, waiting = pki_folder(cluster.settings), next_folder(cluster)
    aside = folder / f"before-{following.client.fingerprint[:16]}"
    aside.mkdir(mode=0o700, exist_ok=True)
    for name in ("ca.pem", "peer-ca.pem", "ca-key.pem", "peer-ca-key.pem"):
        if (waiting / name).exists() and (folder / name).exists() and not (aside / name).exists():
            (folder / name).rename(aside / name)
    for name in ("ca-key.pem", "peer-ca-key.pem", "ca.pem", "peer-ca.pem"):
        if (waiting / name).exists():
            (waiting / name).rename(folder / name)
    if waiting.exists():
        waiting.rename(folder / f"next-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
