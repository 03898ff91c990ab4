"""Who the members of a cluster are, and by which names and URLs they reach each other."""

from __future__ import annotations

import hashlib
import ipaddress
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from etcd_steward.addresses import (
    Held,
    candidates,
    is_address_or_name,
    is_ip,
    is_loopback,
    is_wildcard,
    nobodys,
    url,
)
from etcd_steward.errors import Complaint, shown
from etcd_steward.settings import HOST_KEYS, Settings
from etcd_steward.values import NAME, is_name

__all__ = [
    "Cluster",
    "Member",
    "build_cluster",
    "cluster_id",
    "listed_urls",
    "member_id",
    "member_name",
    "select_clusters",
]


@dataclass(frozen=True)
class Member:
    """One member of a cluster as the settings describe it.

    Args:
        host: the inventory's name of the host.
        name: the member's name in etcd.
        address: IP address or DNS name that is advertised.
        listen: IP address that is bound.
        settings: all settings of this host.
        notes: what the operator should know of the choice of its address.
    """

    host: str
    name: str
    address: str
    listen: str
    settings: Settings
    notes: tuple[str, ...] = ()

    @property
    def peer_url(self) -> str:
        """The URL that the other members use."""
        return url(self.address, self.settings.etcd_peer_port)

    @property
    def client_url(self) -> str:
        """The URL that clients use."""
        return url(self.address, self.settings.etcd_client_port)

    @property
    def listen_peer_url(self) -> str:
        """The URL that is bound for the other members."""
        return url(self.listen, self.settings.etcd_peer_port)

    @property
    def loopback_url(self) -> str:
        """The client URL that works on the host itself; loopback of the family that is listened on."""
        family = ipaddress.ip_address(self.listen).version
        return url("::1" if family == 6 else "127.0.0.1", self.settings.etcd_client_port)  # noqa: PLR2004

    @property
    def listen_client_urls(self) -> tuple[str, ...]:
        """The URLs that are bound for clients: the address, and loopback unless the address covers it."""
        own = url(self.listen, self.settings.etcd_client_port)
        covered = ipaddress.ip_address(self.listen).is_unspecified or own == self.loopback_url
        return (own,) if covered else (own, self.loopback_url)

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """Every name and address under which the member may be reached, without doubles, in a steady order."""
        names = [self.address, self.listen, self.name, "localhost", "127.0.0.1", "::1"]
        names += [name.split(".", 1)[0] for name in (self.address, self.name) if not is_ip(name)]
        names += [self.settings.etcd_node_name] if self.settings.pod and self.settings.etcd_node_name else []
        names += self.settings.etcd_extra_names
        texts = [
            str(ipaddress.ip_address(name)) if is_ip(name) else name.lower().removesuffix(".")
            for name in names
        ]
        usable = [text for text in texts if not (is_ip(text) and ipaddress.ip_address(text).is_unspecified)]
        return tuple(dict.fromkeys(text for text in usable if is_address_or_name(text) or is_wildcard(text)))


@dataclass(frozen=True)
class Cluster:
    """A cluster as the settings describe it: its name and its members, sorted by member name.

    Args:
        name: the value of `etcd_cluster`.
        members: the members, sorted by name, so that a reordered inventory changes nothing.
    """

    name: str
    members: tuple[Member, ...]

    @property
    def settings(self) -> Settings:
        """The settings of the first member, for the keys on which all members agree."""
        return self.members[0].settings

    @property
    def initial_cluster(self) -> dict[str, tuple[str, ...]]:
        """Member names and their peer URLs."""
        return {member.name: (member.peer_url,) for member in self.members}

    @property
    def endpoints(self) -> list[str]:
        """The client URL of every member."""
        return [member.client_url for member in self.members]

    def member(self, host: str) -> Member:
        """Find a host's member.

        Args:
            host: the inventory's name of the host.

        Returns:
            The member.

        Raises:
            KeyError: the host is not of this cluster.
        """
        for member in self.members:
            if member.host == host:
                return member
        raise KeyError(host)


def member_name(host: str, settings: Settings) -> str:
    """Name a host's member: `etcd_name`, else the inventory's name without its connector.

    Args:
        host: the inventory's name of the host.
        settings: the host's settings.

    Returns:
        The member's name.
    """
    return settings.etcd_name or host.rpartition("/")[2]


def unfit_names(names: Mapping[str, str]) -> list[Complaint]:
    """Judge the final names of members by the rule of `etcd_name`, as the inventory may call hosts what it wants.

    Args:
        names: by the inventory's names of the hosts.

    Returns:
        The complaints.
    """
    return [
        Complaint(host, f"the member name {shown(name)}", NAME, f"set etcd_name to {NAME}")
        for host, name in names.items()
        if not is_name(name)
    ]


def member_id(peer_urls: Iterable[str], token: str) -> int:
    """Compute the id that etcd gives a member of a statically bootstrapped cluster.

    Args:
        peer_urls: the member's peer URLs.
        token: the initial-cluster-token.

    Returns:
        The id; see computeMemberId in etcd's server/etcdserver/api/membership/member.go.
    """
    digest = hashlib.sha1(("".join(sorted(peer_urls)) + token).encode(), usedforsecurity=False).digest()
    return int(struct.unpack(">Q", digest[:8])[0])


def cluster_id(member_ids: Iterable[int]) -> int:
    """Compute the id that etcd gives a statically bootstrapped cluster.

    Args:
        member_ids: the ids of all its first members.

    Returns:
        The id; see genID in etcd's server/etcdserver/api/membership/cluster.go.
    """
    packed = b"".join(struct.pack(">Q", number) for number in sorted(member_ids))
    return int(struct.unpack(">Q", hashlib.sha1(packed, usedforsecurity=False).digest()[:8])[0])


def select_clusters(
    settings: Mapping[str, Settings],
    groups: Mapping[str, Iterable[str]],
) -> tuple[dict[str, list[str]], list[Complaint]]:
    """Find the members of every cluster: the hosts of the inventory group that `etcd_inventory_group` names.

    Args:
        settings: the settings of every host that has some.
        groups: the inventory's groups and their hosts.

    Returns:
        The host names of each cluster, in the inventory's order, and the complaints.
    """
    clusters: dict[str, list[str]] = {}
    for host, own in settings.items():
        if host in groups.get(own.etcd_inventory_group, ()):
            clusters.setdefault(own.etcd_cluster, []).append(host)
    complaints = []
    if settings and not clusters:
        wanted = sorted({own.etcd_inventory_group for own in settings.values()})
        complaints.append(
            Complaint(
                "inventory",
                f"no host in the group {' or '.join(wanted)}",
                "the members in that group",
                "name the list of hosts in the inventory `etcd`, or set etcd_inventory_group",
            ),
        )
    for name, hosts in clusters.items():
        complaints += _disagreements(name, {host: settings[host] for host in hosts})
    return clusters, complaints


def _disagreements(cluster: str, settings: Mapping[str, Settings]) -> list[Complaint]:
    complaints = []
    first_host, first = next(iter(settings.items()))
    for key in Settings.model_fields:
        if key in HOST_KEYS:
            continue
        for host, own in settings.items():
            if getattr(own, key) != getattr(first, key):
                found = f"{key} = {getattr(own, key)!r}"
                complaints.append(
                    Complaint(
                        host,
                        found,
                        f"{getattr(first, key)!r} as on {first_host}",
                        f"set {key} once, for all of {cluster}",
                    ),
                )
    if len(settings) % 2 == 0 and not first.etcd_allow_even:
        quorum = len(settings) // 2 + 1
        complaints.append(
            Complaint(
                cluster,
                f"{len(settings)} members",
                f"an odd number: {len(settings)} members need {quorum} alive and bear no more losses than {len(settings) - 1}",
                "add or take away a host, or set etcd_allow_even = True",
            ),
        )
    return complaints


def build_cluster(
    name: str,
    settings: Mapping[str, Settings],
    held: Mapping[str, Sequence[Held]],
    connect_to: Mapping[str, Any],
    known: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Cluster | None, list[Complaint]]:
    """Give every member its name and addresses.

    Args:
        name: the cluster's name.
        settings: the settings of each of its hosts.
        held: for every probed host, the addresses that it has now.
        connect_to: the address by which pyinfra reaches a host, where the inventory tells one.
        known: the IP addresses by which a host's member is listed.

    Returns:
        The cluster, or None where a member could not be placed, and the complaints.
    """
    members: list[Member] = []
    complaints: list[Complaint] = []
    for host, own in settings.items():
        there = held.get(host, ())
        reached = str(connect_to.get(host) or "")
        guess = _guess(own.etcd_interface if host in held else None, there, reached)
        # What was not set may change by itself; an address that the cluster has, and the host still, is no move.
        stays = next(
            (one for one in (known or {}).get(host, ()) if any(one == it.address for it in there)), None
        )
        notes: tuple[str, ...] = ()
        if own.etcd_address is None and stays is not None:
            if guess.found != [stays]:
                notes = (_kept(host, stays, guess),)
            guess = replace(guess, found=[stays], listened=bool(own.etcd_interface))
        complaint = guess.complaint(host, own) if host in held else None
        if complaint is not None:
            complaints.append(complaint)
            continue
        found = guess.found[0] if len(guess.found) == 1 else None
        address = own.etcd_address or found
        if address is None:
            complaints.append(
                Complaint(
                    host,
                    "no address for the member",
                    "an IP address or a DNS name",
                    "set etcd_address or etcd_interface",
                ),
            )
            continue
        everywhere = "::" if ":" in address else "0.0.0.0"  # noqa: S104 - a DNS name cannot be bound
        listened = found if guess.listened else None
        listen = own.etcd_listen_address or listened or (address if is_ip(address) else everywhere)
        members.append(Member(host, member_name(host, own), address, listen, own, notes))
    complaints += unfit_names({member.host: member.name for member in members})
    complaints += [*_doubles(members), *_nowhere(members)]
    if complaints:
        return None, complaints
    return Cluster(name, tuple(sorted(members, key=lambda member: member.name))), []


@dataclass(frozen=True)
class _Guess:
    """Where a member may be, as far as nobody has set it.

    Args:
        source: what tells it, in words.
        found: the addresses among which nothing decides; mostly one.
        listened: whether it is an interface's, so that it is listened on too.
        there: all addresses of that interface; None where the host has no such interface.
        others: the interfaces of the host.
    """

    source: str
    found: list[str]
    listened: bool = False
    there: Sequence[Held] | None = ()
    others: str = ""

    def complaint(self, host: str, settings: Settings) -> Complaint | None:
        name = settings.etcd_interface
        needed = settings.etcd_address is None or settings.etcd_listen_address is None
        if not name or len(self.found) == 1:
            return None
        if self.there is None:
            return Complaint(
                host, f"interfaces {self.others}", f"an address on {name}", "correct etcd_interface"
            )
        if not needed:
            return None
        key = "etcd_listen_address" if settings.etcd_address else "etcd_address"
        if self.found:
            text = f"{len(self.found)} addresses on {name} ({', '.join(self.found)}), none of which comes before the others"
            return Complaint(host, text, "one that is the member's for good", f"set {key} to it")
        told = ", ".join(f"{one.address} {' '.join(sorted(one.flags))}".strip() for one in self.there)
        text = f"no address on {name} that lasts ({told})"
        return Complaint(host, text, "one that is the host's for good", f"give the host one, or set {key}")


def _guess(name: str | None, held: Sequence[Held], reached: str) -> _Guess:
    if not name:
        return _Guess("the inventory", [reached] if is_ip(reached) else [])
    own = [one for one in held if one.interface == name]
    if not own:
        others = ", ".join(sorted({one.interface for one in held})) or "none"
        return _Guess(name, [], True, None, others)
    return _Guess(name, candidates(own), True, own)


def _kept(host: str, stays: str, guess: _Guess) -> str:
    given = (
        f"{guess.source} gives {' and '.join(guess.found)}" if guess.found else f"{guess.source} gives none"
    )
    return (
        f"{host}: its member is known by {stays}, which is still on this host, though {given}: {stays} stays; "
        f"set etcd_address to {stays}, or to another address to move the member there"
    )


def _nowhere(members: list[Member]) -> list[Complaint]:
    """Judge where members are reached and listen, whoever said so: the settings, the inventory or an interface."""
    complaints = []
    others = "others reach it at, as each member dials all of them"
    for member in members:
        told = (("address", member.address), ("listen_address", member.listen))
        if nobodys(member.address):
            text = f"the address {member.address}, which is {nobodys(member.address)}"
            complaints.append(Complaint(member.host, text, f"one that {others}", "set etcd_address"))
        elif len(members) > 1:
            complaints += [
                Complaint(
                    member.host,
                    f"{'the address' if key == 'address' else 'etcd listening at'} {value}, which leads each host to itself, beside {len(members) - 1} other members",
                    f"an address of this host that {others}",
                    f"set etcd_{key}" if key == "address" else "correct etcd_listen_address, or leave it out",
                )
                for key, value in told[: 1 if is_loopback(member.address) else 2]
                if is_loopback(value)
            ]
    return complaints


def _doubles(members: list[Member]) -> list[Complaint]:
    complaints = []
    names = Counter(member.name.lower() for member in members)
    urls = Counter(member.peer_url for member in members)
    for member in members:
        if names[member.name.lower()] > 1:
            complaints.append(
                Complaint(
                    member.host, f"the member name {member.name} twice", "a name for each", "set etcd_name"
                ),
            )
        if urls[member.peer_url] > 1:
            complaints.append(
                Complaint(
                    member.host,
                    f"the address {member.address} twice",
                    "an address for each",
                    "set etcd_address",
                ),
            )
    return complaints


def listed_urls(lists: Sequence[str]) -> dict[str, str]:
    """Read the members of some `initial-cluster`: their peer URLs by name.

    Args:
        lists: as configurations have it.
    """
    return {
        name: url
        for text in lists
        for part in text.split(",")
        for name, _, url in [part.strip().partition("=")]
        if url
    }
