"""IP addresses, DNS names and the URLs made of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "Held",
    "candidates",
    "is_address_or_name",
    "is_ip",
    "is_loopback",
    "is_wildcard",
    "nobodys",
    "read_held",
    "url",
]

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def is_address_or_name(text: str) -> bool:
    """Tell whether a text is an IP address or a DNS name, without port or brackets.

    Args:
        text: what the operator wrote.

    Returns:
        True for addresses of both families and for names whose last label is not a number.
    """
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.removesuffix(".").split(".")
        return len(text) < 254 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()  # noqa: PLR2004
    return "%" not in text


def is_ip(text: str) -> bool:
    """Tell whether a text is an IP address.

    Args:
        text: what to look at.

    Returns:
        True for addresses of both families.
    """
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_wildcard(text: str) -> bool:
    """Tell whether a text is a name in which a star stands for the first label, as Go takes it in certificates.

    Args:
        text: what the operator wrote.
    """
    return text.startswith("*.") and is_address_or_name(text[2:]) and not is_ip(text[2:])


def _number(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    # ::ffff:127.0.0.1 is 127.0.0.1 to every socket.
    return getattr(found, "ipv4_mapped", None) or found


_NOBODYS = [
    (ipaddress.ip_network(network), what)
    for network, what in (
        ("0.0.0.0/32", "every address of a host, and none of them"),
        ("::/128", "every address of a host, and none of them"),
        ("0.0.0.0/8", "no address of a host (0.0.0.0/8)"),
        ("224.0.0.0/4", "a group of hosts (multicast)"),
        ("ff00::/8", "a group of hosts (multicast)"),
        ("255.255.255.255/32", "all hosts of a network at once (broadcast)"),
        ("fe80::/10", "link-local, which means nothing without its zone, and a URL of etcd's has none"),
    )
]


def nobodys(text: str) -> str:
    """Say why an address is not that of one host, so that nobody can be reached at it; the one place that knows.

    Args:
        text: an address, or a DNS name, of which nothing is known.

    Returns:
        What it is; empty where it may be a host's. Loopback is one, see `is_loopback`.
    """
    number = _number(text)
    # A network holds no address of the other family.
    return next((what for network, what in _NOBODYS if number is not None and number in network), "")


def is_loopback(text: str) -> bool:
    """Tell whether an address or a name leads every host to itself.

    Args:
        text: an address or a DNS name.
    """
    number = _number(text)
    if number is not None:
        return number.is_loopback
    name = text.lower().removesuffix(".")
    return name in {"localhost", "localhost.localdomain"} or name.endswith(".localhost")


def url(address: str, port: int) -> str:
    """Write the URL of an address, with brackets around an IPv6 literal (kubespray#8962, Talos#12646).

    Args:
        address: an IP address or a DNS name.
        port: the TCP port.

    Returns:
        The URL, always https; a DNS name in small letters, as etcd compares URLs as texts.
    """
    if is_ip(address):
        parsed = ipaddress.ip_address(address)
        return f"https://[{parsed}]:{port}" if parsed.version == 6 else f"https://{parsed}:{port}"  # noqa: PLR2004
    return f"https://{address.lower()}:{port}"


@dataclass(frozen=True)
class Held:
    """An address that a host has now.

    Args:
        interface: on which of its interfaces.
        address: the address, written as Python does.
        length: of its network; None where nobody tells.
        flags: the kernel's words for it, such as `temporary`.
    """

    interface: str
    address: str
    length: int | None = None
    flags: frozenset[str] = frozenset()

    @property
    def lasts(self) -> bool:
        """Whether it may still be the host's tomorrow, as far as the kernel knows."""
        # busybox calls a temporary address of IPv6 `secondary`: it is the same bit.
        return not self.flags & _FLEETING and not (":" in self.address and "secondary" in self.flags)

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """The least is taken first."""
        # What keepalived and kube-vip bring stands alone in its network, or behind the host's own in the same one.
        alone = self.length == ipaddress.ip_address(self.address).max_prefixlen
        return ":" in self.address, "secondary" in self.flags, alone


_FLEETING = {"dadfailed", "deprecated", "temporary", "tentative"}


def read_held(lines: Iterable[str]) -> tuple[Held, ...]:
    """Read the addresses that a host tells: `INTERFACE ADDRESS/LENGTH FLAG …`.

    Args:
        lines: what it told; what is no address is passed over.

    Returns:
        The addresses, in the host's order.
    """
    found = []
    for line in lines:
        name, address, *flags = [*line.split(" "), "", ""]
        try:
            number = ipaddress.ip_interface(address)
        except ValueError:
            continue
        length = number.network.prefixlen if "/" in address else None
        found.append(Held(name, str(number.ip), length, frozenset(filter(None, flags))))
    return tuple(found)


def candidates(held: Sequence[Held]) -> list[str]:
    """Choose the address of an interface that may be used as if an operator had set it.

    What passes by itself is never chosen. IPv4 comes before IPv6, an address of its own before a further one in the same
    network, and one that stands alone in its network, as that of a floating service does, comes last.

    Args:
        held: the addresses of one interface.

    Returns:
        The address; none where no address lasts, several where nothing tells which of them is meant.
    """
    lasting = [one for one in held if one.lasts]
    best = min((one.rank for one in lasting), default=None)
    return list(dict.fromkeys(one.address for one in lasting if one.rank == best))
