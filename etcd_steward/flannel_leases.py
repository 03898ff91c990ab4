"""What flannel keeps in etcd and on its hosts: the configuration, leases, and the file of a running flanneld.

The names of the keys are those of flannel's pkg/subnet/subnet.go.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from etcd_steward.answers import decoded

__all__ = ["Keys", "Lease", "SubnetFile", "lease_of", "read_keys", "read_subnet_file"]

_LEASE = re.compile(r"(\d+\.\d+\.\d+\.\d+)-(\d+)(?:&([a-f\d:]+)-(\d+))?")


@dataclass(frozen=True)
class Lease:
    """The part of the network that a host holds.

    Args:
        subnet: the part.
        address: the address of the host that holds it, by which the others reach it.
        subnet6: its part of the IPv6 network.
    """

    subnet: ipaddress.IPv4Network
    address: str
    subnet6: ipaddress.IPv6Network | None = None

    @property
    def device_address(self) -> str:
        """The address of the host's device flannel.N: the first of its part."""
        return str(self.subnet.network_address)


@dataclass(frozen=True)
class Keys:
    """What flannel has in etcd.

    Args:
        config: the network configuration as it is written there; None where there is none.
        revision: the revision that wrote it; 0 where there is none.
        leases: the leases, in order of their parts.
    """

    config: str | None = None
    revision: int = 0
    leases: tuple[Lease, ...] = ()


@dataclass(frozen=True)
class SubnetFile:
    """What a running flanneld tells its host, in /run/flannel/subnet.env."""

    network: ipaddress.IPv4Network
    subnet: ipaddress.IPv4Network


def read_keys(prefix: str, answer: str) -> Keys | None:
    """Read what `etcdctl get PREFIX/ --prefix -w json` printed.

    Args:
        prefix: where flannel keeps its keys.
        answer: the JSON.

    Returns:
        The keys, without what is no lease; None where it cannot be read.
    """
    config, revision, leases = None, 0, []
    try:
        for entry in decoded(answer).get("kvs", ()):
            key = base64.b64decode(entry["key"], validate=True).decode()
            value = base64.b64decode(entry.get("value", ""), validate=True).decode()
            if key == f"{prefix}/config":
                config, revision = value, int(entry["mod_revision"])
            lease = _lease(key.removeprefix(f"{prefix}/subnets/"), value)
            if key.startswith(f"{prefix}/subnets/") and lease is not None:
                leases.append(lease)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return Keys(config, revision, tuple(sorted(leases, key=lambda lease: lease.subnet)))


def _lease(name: str, value: str) -> Lease | None:
    parts = _LEASE.fullmatch(name)
    if parts is None:
        return None
    try:
        told = decoded(value)
        address = told.get("PublicIP") or told.get("PublicIPv6") or ""
        subnet = ipaddress.IPv4Network(f"{parts[1]}/{parts[2]}")
        subnet6 = ipaddress.IPv6Network(f"{parts[3]}/{parts[4]}") if parts[3] else None
    except (ValueError, AttributeError):
        return None
    return Lease(subnet, str(address), subnet6)


def read_subnet_file(lines: Iterable[str]) -> SubnetFile | None:
    """Read /run/flannel/subnet.env.

    Args:
        lines: its lines.

    Returns:
        What it tells; None where it is missing or tells no subnet.
    """
    told = dict(line.strip().partition("=")[::2] for line in lines)
    try:
        return SubnetFile(
            ipaddress.IPv4Network(told["FLANNEL_NETWORK"]),
            # It names the first address that containers may use.
            ipaddress.IPv4Network(told["FLANNEL_SUBNET"], strict=False),
        )
    except (KeyError, ValueError):
        return None


def lease_of(leases: Iterable[Lease], subnet: SubnetFile | None, addresses: Iterable[str]) -> Lease | None:
    """Find the lease that a host holds.

    Args:
        leases: all leases.
        subnet: what its flanneld tells; None where it tells nothing.
        addresses: the host's addresses.

    Returns:
        The lease of the part that it tells, if it names one of its addresses; None where there is none.
    """
    own = set(addresses)
    return next(
        (one for one in leases if subnet is not None and one.subnet == subnet.subnet and one.address in own),
        None,
    )
