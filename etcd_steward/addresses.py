"""IP addresses, DNS names and the URLs made of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Held", "candidates", "is_address_or_name", "is_ip", "read_held", "url"]

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
