"""flannel: its network configuration, and what fits into it; without any I/O.

The rules about sizes are flannel's own (`CheckNetworkConfig` in its pkg/subnet/config.go).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import Any

from etcd_steward import versions
from etcd_steward.errors import Complaint
from etcd_steward.settings import Settings

__all__ = [
    "DEFAULT_PORT",
    "DEFAULT_VNI",
    "OLDEST",
    "as_text",
    "capacity",
    "configuration",
    "differences",
    "fits",
    "judge",
    "overlaps",
]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

OLDEST = versions.Version(0, 18, 0)
DEFAULT_PORT, DEFAULT_VNI = 8472, 1

# flannel: a host needs four addresses at least, and the first part is never given away.
_SMALLEST = {4: 28, 6: 124}
_LONGEST = {4: 30, 6: 126}
_USUAL = {4: 24, 6: 64}
_ROOM_FOR_FOUR = 2


def judge(host: str, settings: Settings) -> list[Complaint]:
    """Judge what flannel itself would refuse, or could not do.

    Args:
        host: the host's inventory name.
        settings: its settings, each right in itself.

    Returns:
        The complaints; none where the settings name no network.
    """
    if settings.etcd_flannel_network is None:
        return []
    network = ipaddress.IPv4Network(settings.etcd_flannel_network)
    complaints = _old(host, settings) + _size(host, "etcd_flannel", network, settings.etcd_flannel_subnet_len)
    if settings.etcd_flannel_ipv6_network is not None:
        network6 = ipaddress.IPv6Network(settings.etcd_flannel_ipv6_network)
        complaints += _size(host, "etcd_flannel_ipv6", network6, settings.etcd_flannel_ipv6_subnet_len)
    return complaints or _bounds(host, settings, network)


def _old(host: str, settings: Settings) -> list[Complaint]:
    version = versions.parse(settings.etcd_flannel_version)
    if version >= OLDEST:
        return []
    return [
        Complaint(
            host,
            f"etcd_flannel_version {version}, which speaks etcd's API v2 alone (flannel speaks v3 since {OLDEST}, "
            "commit f4326fc8; no release speaks both), while members made here answer v3 alone",
            f"flannel {OLDEST} or later",
            "leave etcd_flannel_version out, or set it to such a release",
        )
    ]


def _size(host: str, keys: str, network: Network, length: int | None) -> list[Complaint]:
    family = network.version
    if network.prefixlen > _SMALLEST[family]:
        return [
            Complaint(
                host,
                f"{keys}_network {network}",
                f"one of /{_SMALLEST[family]} or wider, as flannel wants room for four hosts with four addresses each",
                f"widen {keys}_network",
            )
        ]
    if length is not None and length < network.prefixlen + _ROOM_FOR_FOUR:
        return [
            Complaint(
                host,
                f"{keys}_subnet_len {length} in {network}",
                f"{network.prefixlen + _ROOM_FOR_FOUR} to {_LONGEST[family]}, as flannel wants room for four hosts at least",
                f"raise {keys}_subnet_len, or widen {keys}_network",
            )
        ]
    return []


def _bounds(host: str, settings: Settings, network: ipaddress.IPv4Network) -> list[Complaint]:
    length = _subnet_len(network, settings.etcd_flannel_subnet_len)
    complaints = []
    for key in ("etcd_flannel_subnet_min", "etcd_flannel_subnet_max"):
        value = getattr(settings, key)
        if value is None:
            continue
        bound = ipaddress.ip_address(value)
        if bound not in network:
            complaints.append(
                Complaint(host, f"{key} {value}", f"an address in {network}", f"correct or leave out {key}")
            )
        elif int(bound) % (1 << (32 - length)):
            near = ipaddress.ip_network(f"{bound}/{length}", strict=False).network_address
            complaints.append(
                Complaint(
                    host,
                    f"{key} {value}",
                    f"the first address of a /{length}, such as {near}",
                    f"correct {key}",
                )
            )
    if not complaints and capacity(settings) < 1:
        low, high = settings.etcd_flannel_subnet_min, settings.etcd_flannel_subnet_max
        complaints.append(
            Complaint(
                host,
                f"etcd_flannel_subnet_min {low} and etcd_flannel_subnet_max {high}",
                "the first not behind the last",
                "correct etcd_flannel_subnet_min or etcd_flannel_subnet_max",
            )
        )
    return complaints


def _subnet_len(network: Network, length: int | None) -> int:
    if length is not None:
        return length
    usual = _USUAL[network.version]
    return max(usual, network.prefixlen + _ROOM_FOR_FOUR)


def capacity(settings: Settings) -> int:
    """Count the hosts that the network has room for: the first of its parts is never given away.

    Args:
        settings: settings with a network.

    Returns:
        The number of parts between the first and the last that flannel gives.
    """
    network = ipaddress.IPv4Network(settings.etcd_flannel_network or "")
    size = 1 << (32 - _subnet_len(network, settings.etcd_flannel_subnet_len))
    low, high = settings.etcd_flannel_subnet_min, settings.etcd_flannel_subnet_max
    first = int(ipaddress.IPv4Address(low)) if low else int(network.network_address) + size
    last = int(ipaddress.IPv4Address(high)) if high else int(network.broadcast_address) + 1 - size
    return (last - first) // size + 1


def fits(settings: Settings, subnet: ipaddress.IPv4Network) -> bool:
    """Tell whether a part is one of this network: one that an earlier configuration gave away is not.

    Args:
        settings: settings with a network.
        subnet: the part.
    """
    network = ipaddress.IPv4Network(settings.etcd_flannel_network or "")
    return subnet.subnet_of(network) and subnet.prefixlen == _subnet_len(
        network, settings.etcd_flannel_subnet_len
    )


def configuration(settings: Settings) -> dict[str, Any]:
    """Write the network configuration that belongs into etcd; only what is set, as flannel knows the rest.

    Args:
        settings: settings with a network.

    Returns:
        The value of the key, before it becomes JSON.
    """
    backend = {
        "Type": "vxlan",
        "VNI": settings.etcd_flannel_vni,
        "Port": settings.etcd_flannel_port,
        "MTU": settings.etcd_flannel_mtu,
        "DirectRouting": settings.etcd_flannel_direct_routing or None,
    }
    wanted = {
        "Network": settings.etcd_flannel_network,
        "SubnetLen": settings.etcd_flannel_subnet_len,
        "SubnetMin": settings.etcd_flannel_subnet_min,
        "SubnetMax": settings.etcd_flannel_subnet_max,
        "EnableIPv6": settings.etcd_flannel_ipv6_network is not None or None,
        "IPv6Network": settings.etcd_flannel_ipv6_network,
        "IPv6SubnetLen": settings.etcd_flannel_ipv6_subnet_len,
        "EnableNFTables": settings.etcd_flannel_nftables or None,
        "Backend": {key: value for key, value in backend.items() if value is not None},
    }
    return {key: value for key, value in wanted.items() if value is not None}


def as_text(config: Mapping[str, Any]) -> str:
    """Write a configuration as it stands in etcd.

    Args:
        config: see `configuration`.

    Returns:
        JSON in one line.
    """
    return json.dumps(config, separators=(",", ":"))


def differences(found: str, wanted: Mapping[str, Any]) -> list[str]:
    """Compare the configuration in etcd with the wanted one, filling in what flannel does where nothing is said.

    Args:
        found: the value of the key.
        wanted: see `configuration`.

    Returns:
        For each difference, the name with what is there and what is wanted; empty where flannel would see no difference.
    """
    try:
        there = json.loads(found)
    except ValueError:
        there = None
    if not isinstance(there, dict) or not isinstance(there.get("Backend", {}), dict):
        return [f"no configuration but {found[:60]!r}"]
    before, after = _whole(there), _whole(wanted)
    return [
        f"{name} {_said(before.get(name))}, wanted {_said(after.get(name))}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _said(value: object) -> str:
    return "none" if value is None else json.dumps(value)


def _whole(config: Mapping[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {"EnableIPv4": True, "EnableIPv6": False, "EnableNFTables": False}
    whole |= {key: value for key, value in config.items() if key != "Backend"}
    for network, length in (("Network", "SubnetLen"), ("IPv6Network", "IPv6SubnetLen")):
        try:
            whole[length] = _subnet_len(ipaddress.ip_network(str(whole[network])), whole.get(length) or None)
        except (KeyError, ValueError):
            continue
    backend = {"Type": "udp", **config.get("Backend", {})}
    if backend["Type"] == "vxlan":
        usual = {"VNI": DEFAULT_VNI, "Port": DEFAULT_PORT, "DirectRouting": False, "MTU": 0, "GBP": False}
        # 0 is what the kernel's own port is asked for by; on Linux that is 8472.
        backend = usual | {key: value for key, value in backend.items() if (key, value) != ("Port", 0)}
    return whole | {f"Backend.{key}": value for key, value in backend.items()}


def overlaps(networks: Iterable[str | None], addresses: Iterable[str]) -> list[str]:
    """Find the addresses that lie inside flannel's networks, where they would be reached by way of the overlay.

    Args:
        networks: flannel's networks; None is passed over.
        addresses: addresses of hosts; what is no IP address is passed over.

    Returns:
        Those inside, in their order, each once.
    """
    spans = [ipaddress.ip_network(network) for network in networks if network]
    found = []
    for text in dict.fromkeys(addresses):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if any(address in span for span in spans):
            found.append(text)
    return found
