"""IP addresses, DNS names and the URLs made of them."""

from __future__ import annotations

import ipaddress
import re

__all__ = ["is_address_or_name", "is_ip", "url"]

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
