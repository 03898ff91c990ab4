"""What must hold on a host before anything on it is changed."""

from __future__ import annotations

import ipaddress

from etcd_steward import storage, versions
from etcd_steward.certificates import address as read_address
from etcd_steward.decisions import MAKING, NO_ROOT, Action
from etcd_steward.errors import Complaint
from etcd_steward.node import complaints as node_complaints
from etcd_steward.observed import HostState
from etcd_steward.platforms import package_manager
from etcd_steward.topology import Member

__all__ = ["check_host", "nameless", "skew_complaint"]

_TESTED_ARCHES = {"amd64", "arm64"}


def check_host(
    member: Member, state: HostState, action: Action, *, restarts: bool = False
) -> list[Complaint]:
    """Judge a reached host.

    Args:
        member: the host's member.
        state: what the probe told.
        action: what the plan decided for it.
        restarts: whether its etcd starts in this run, also once more, which is when it asks for names.

    Returns:
        Everything that is wrong.
    """
    host, settings = member.host, member.settings
    complaints = []
    if state.uid != 0:
        complaints.append(Complaint(host, *NO_ROOT))
    try:
        arch = versions.release_arch(state.machine)
    except ValueError:
        arch = state.machine
    if arch not in _TESTED_ARCHES:
        complaints.append(
            Complaint(
                host, f"the architecture {arch}", "amd64 or arm64", "take this host out of the inventory"
            ),
        )
    if state.init == "none":
        complaints.append(
            Complaint(
                host,
                "neither systemd nor OpenRC running",
                "one of them",
                "boot the host with its init system",
            ),
        )
    complaints += node_complaints(member, state) + storage.complaints(member, state)
    if settings.etcd_time_sync and package_manager(state.os_id, state.os_like) is None:
        complaints.append(
            Complaint(
                host,
                f"{state.os_name or 'an unknown system'}",
                "one with apk, apt or dnf, to install chrony",
                "install a time daemon by hand and set etcd_time_sync = False",
            ),
        )
    if action in {*MAKING, "join", "replace"} and not state.service.running:
        complaints += _room(member, state)
    if restarts:
        complaints += nameless(member, state) + _misleading(member, state)
    return complaints


def nameless(member: Member, state: HostState) -> list[Complaint]:
    """Name the members' names that have no address on a host: its etcd reaches nobody by them once it starts again.

    Args:
        member: the host's member.
        state: what the probe told.
    """
    return [
        Complaint(
            member.host,
            f"no address for the name {name}",
            "one",
            "add it to DNS or to /etc/hosts on this host",
        )
        for name in state.unresolved
    ]


def _room(member: Member, state: HostState) -> list[Complaint]:
    host, settings = member.host, member.settings
    complaints = []
    if state.free_mb < settings.etcd_min_free_mb:
        complaints.append(
            Complaint(
                host,
                f"{state.free_mb} MB free on {state.mount} for {settings.etcd_data_dir}",
                f"{settings.etcd_min_free_mb} MB",
                "free some space, choose another etcd_data_dir, or lower etcd_min_free_mb",
            ),
        )
    complaints += [
        Complaint(
            host,
            f"port {port} taken by another program",
            "a free port",
            "stop that program, or set another port",
        )
        for port in state.listening
    ]
    return complaints


def _misleading(member: Member, state: HostState) -> list[Complaint]:
    """Judge what the members' names mean on this host: each member dials all of them, itself too."""
    own_addresses = {read_address(one.address) for one in state.held}
    complaints = []
    for name, told in state.resolved.items():
        found = {number for address in told if (number := read_address(address)) is not None}
        own = name == member.address
        if own and ipaddress.ip_address(member.listen).is_unspecified:
            # It answers on loopback too.
            continue
        here = {one for one in found if one.is_loopback or (not own and one in own_addresses)}
        if not here:
            continue
        addresses = ", ".join(sorted(map(str, here)))
        complaints.append(
            Complaint(
                member.host,
                f"its own name {name} meaning {addresses} on this host, where etcd does not listen for the others"
                if own
                else f"the name {name} of another member meaning {addresses} on this host, which is this host itself",
                f"the address at which {'the others reach it' if own else 'that member listens'}",
                f"correct {name} in this host's /etc/hosts (Debian writes 127.0.1.1 there, setup-alpine 127.0.0.1) or in DNS",
            )
        )
    return complaints


def skew_complaint(host: str, skew: float, limit: float) -> Complaint | None:
    """Judge a host's clock.

    Args:
        host: the inventory's name of the host.
        skew: seconds by which it surely differs from the controller's.
        limit: seconds that are accepted.

    Returns:
        The complaint, or None.
    """
    if abs(skew) <= limit:
        return None
    way = "ahead of" if skew > 0 else "behind"
    return Complaint(
        host,
        f"a clock {abs(skew):.0f} s {way} the controller's",
        f"at most {limit:g} s",
        "set etcd_time_sync = True, or correct the clock: certificates would not be valid yet, or no longer",
    )
