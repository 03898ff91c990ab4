"""A new authority without an outage: trust both, reissue, trust the new one; the phase is read from the hosts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from etcd_steward.authority import Authorities, Store
from etcd_steward.certificates import bundle, read_certificate
from etcd_steward.credentials import Credentials, brought, pki_folder
from etcd_steward.errors import Complaint
from etcd_steward.expiry import outlived
from etcd_steward.observed import HostState
from etcd_steward.topology import Cluster, Member
from etcd_steward.work import ROLES

__all__ = [
    "PHASES",
    "Phase",
    "allowed",
    "early",
    "following",
    "next_folder",
    "not_ready",
    "phases_left",
    "reasons_against_rotation",
    "rotated",
    "trust_both_file",
]

Phase = Literal["trust both", "reissue", "trust the new one"]
PHASES: tuple[Phase, ...] = get_args(Phase)


def next_folder(cluster: Cluster) -> Path:
    """Say where the next authorities wait until all hosts have them."""
    return pki_folder(cluster.settings) / "next"


def trust_both_file(cluster: Cluster) -> Path:
    """Say where the bundle lies that clients need while a rotation is under way."""
    return next_folder(cluster) / "trust-both.pem"


def following(cluster: Cluster, *, keys: bool = True) -> Authorities | None:
    """Read the authorities that a rotation leads to: those that the operator brings, else those that were made for it.

    Args:
        cluster: the cluster.
        keys: whether to open their keys too.

    Returns:
        The authorities; None where they have not been made yet, are not valid yet, or cannot sign and their keys are lost for ever.

    Raises:
        PkiError: they cannot be read or used.
    """
    own, store = brought(cluster.settings, keys=keys), Store(next_folder(cluster))
    if own is None and cluster.settings.etcd_ca_lost and not store.has_keys():
        return None
    made = None if own is not None else store.load(keys=keys)
    return own or (made if made is None or not early(made) else None)


def early(authorities: Authorities) -> bool:
    """Tell whether authorities are not valid yet: they were made by a clock that was ahead, and sign nothing now.

    Args:
        authorities: both of them.
    """
    now = datetime.now(UTC)
    both = (authorities.client, authorities.peer)
    return any(one.certificate.not_valid_before_utc > now for one in both)


def rotated(credentials: Credentials, phase: Phase) -> Credentials:
    """Change what a cluster trusts and who signs for it, for one phase.

    Args:
        credentials: as they are without a rotation.
        phase: which phase.

    Returns:
        The credentials of that phase; with the next authorities not made yet, every certificate counts as old.
    """
    coming = following(credentials.cluster)
    new = ("made when this is executed\n",) * 2 if coming is None else (coming.client.pem, coming.peer.pem)
    old = credentials.carried or new
    both = tuple(_joined(before, after) for before, after in zip(old, new, strict=True))
    if phase == "trust both":
        return replace(credentials, carried=(both[0], both[1]), problem="")
    texts = (both[0], both[1]) if phase == "reissue" else (new[0], new[1])
    return replace(credentials, here=coming, carried=texts, problem="", issuers=coming)


def _joined(before: str, after: str) -> str:
    return before if after in before else before + after


def phases_left(cluster: Cluster, hosts: Mapping[str, HostState]) -> list[Phase]:
    """Read from the hosts which phases are still to be gone through.

    What lies on a host only counts once its member runs with it: etcd reads its authorities when it starts.

    Args:
        cluster: the cluster.
        hosts: what the probes told.

    Returns:
        The phases; all of them where the next authorities have not been made yet.
    """
    coming = following(cluster, keys=False)
    if coming is None:
        return list(PHASES)
    left: set[Phase] = set()
    for member in cluster.members:
        left |= _left(member, hosts[member.host], coming)
    return [phase for phase in PHASES if phase in left]


def _left(member: Member, state: HostState, coming: Authorities) -> set[Phase]:
    left: set[Phase] = set()
    pems = [_pem(member, state, kind) for kind in ("ca", "peer_ca")]
    wanted = [coming.client.fingerprint, coming.peer.fingerprint]
    found = [[one.fingerprint for one in bundle(pem)] for pem in pems]
    alone = found == [[one] for one in wanted]
    if any(one not in prints for one, prints in zip(wanted, found, strict=True)):
        left.add("trust both")
    if not alone:
        left.add("trust the new one")
    digest = hashlib.sha256("".join(pems).encode()).hexdigest()
    if not state.service.running or state.started.get("authorities") != digest:
        left.add("trust the new one" if alone else "trust both")
    for role in ROLES:
        facts = read_certificate(_pem(member, state, role))
        if facts is None or facts.issued_by([coming.for_role(role)]) is None:
            left.add("reissue")
    return left


def _pem(member: Member, state: HostState, kind: str) -> str:
    return state.certificates.get(member.settings.certificate_path(kind, member.name), "")


def allowed(phases: list[Phase], ready: object) -> list[Phase]:
    """Cut the phases off where clients may not be ready for the next one.

    Args:
        phases: what is left to do.
        ready: `etcd_clients_ready`.

    Returns:
        The phases that may be gone through in this run.
    """
    if ready is True:
        return phases
    last: Phase = "reissue" if ready == "trust" else "trust both"
    return [phase for phase in phases if PHASES.index(phase) <= PHASES.index(last)]


def not_ready(cluster: Cluster, phase: Phase) -> Complaint:
    """Say what clients need before a phase.

    Args:
        cluster: the cluster.
        phase: the phase that has to wait for them.

    Returns:
        The complaint.
    """
    if phase == "reissue":
        return Complaint(
            cluster.name,
            "clients that may not trust the next authority yet",
            "all of them to trust both",
            f"give every client {trust_both_file(cluster)} as its authority, then run again with --data "
            "etcd_clients_ready=trust (or =true where no client has a certificate besides those on the members' hosts)",
        )
    signer = "your own authority" if brought(cluster.settings, keys=False) else str(next_folder(cluster))
    return Complaint(
        cluster.name,
        "clients that may still show certificates of the old authority, which are refused from the next phase on",
        "all of them to show new ones",
        f"give every client a certificate signed by {signer}, or the new pair of a member's host, "
        "then run again with --data etcd_clients_ready=true",
    )


def reasons_against_rotation(credentials: Credentials, phases: list[Phase]) -> list[Complaint]:
    """Say why no new authority may be made from this controller.

    Args:
        credentials: what is here and what the hosts carry.
        phases: what is left to do.

    Returns:
        The complaints.
    """
    cluster, settings = credentials.cluster, credentials.cluster.settings
    if credentials.carried is None:
        return [
            Complaint(cluster.name, "hosts without an authority", "a cluster", "run deploys/etcd.py first")
        ]
    coming = following(cluster)
    own = brought(settings, keys=False) is not None
    if not phases:
        return []
    keys = _keys(credentials, coming if "reissue" in phases else None, own=own)
    if keys is not None or (keys := _limited(credentials, coming, phases)) is not None:
        return [keys]
    carried = bundle(credentials.carried[0])
    trusted = {one.fingerprint for one in carried}
    # A rotation to an authority of the operator's has begun when some host trusts it.
    begun = coming is not None and (not own or coming.client.fingerprint in trusted)
    foreign = None if begun else _foreign(credentials, len(carried), own=own)
    if not settings.etcd_ca_lost:
        return [foreign] if foreign is not None else []
    # Where the next authorities lie without their keys, others are made in their place.
    keyless = next_folder(cluster).exists() and not Store(next_folder(cluster)).has_keys()
    # Authorities that have ended are told by themselves.
    if foreign is not None or begun or keyless or outlived(credentials, datetime.now(UTC)):
        return []
    return [
        Complaint(
            cluster.name,
            "etcd_ca_lost, while the authorities and their keys are here",
            "authorities that are lost",
            "run deploys/rotate_ca.py without etcd_ca_lost",
        )
    ]


def _limited(credentials: Credentials, coming: Authorities | None, phases: list[Phase]) -> Complaint | None:
    if coming is None or "reissue" not in phases:
        return None
    signing = replace(credentials, here=coming)
    told = (one for each in credentials.cluster.members for one in signing.barred_complaints(each, ROLES))
    return next(told, None)


def _keys(credentials: Credentials, coming: Authorities | None, *, own: bool) -> Complaint | None:
    if not own and not credentials.signing:
        return Complaint(
            credentials.cluster.name,
            "ready-made certificates (etcd_certificates_dir) without the authorities of the new ones",
            "the authorities that signed those",
            "set etcd_ca_cert and etcd_peer_ca_cert to them; their keys are not needed",
        )
    if not credentials.signing or coming is None or (coming.client.can_sign and coming.peer.can_sign):
        return None
    if own:
        return Complaint(
            credentials.cluster.name,
            "your own authorities without their keys",
            "keys that sign new certificates",
            "set etcd_ca_key and etcd_peer_ca_key, or bring ready-made files in etcd_certificates_dir",
        )
    return Complaint(
        credentials.cluster.name,
        f"the next authorities in {next_folder(credentials.cluster)} without their keys",
        "keys that sign new certificates",
        "bring ca-key.pem and peer-ca-key.pem back there; if they are lost for ever: --data etcd_ca_lost=true, "
        "which puts these authorities aside and makes others",
    )


def _foreign(credentials: Credentials, carried: int, *, own: bool) -> Complaint | None:
    cluster = credentials.cluster
    if carried > 1:
        return Complaint(
            cluster.name,
            "hosts that trust two authorities, but no next one in " + str(next_folder(cluster)),
            "the controller, or the settings, that began the rotation",
            "run it from there, or copy its folder here; if it is lost for ever: --data etcd_ca_lost=true",
        )
    if credentials.problem and not own:
        fingerprint = bundle((credentials.carried or ("",))[0])[0].fingerprint
        return Complaint(
            cluster.name,
            credentials.problem,
            f"the authority that the hosts carry (SHA-256 {fingerprint})",
            "run from the controller that has it; if its key is lost for ever: --data etcd_ca_lost=true",
        )
    return None
