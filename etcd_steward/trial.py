"""What etcd's Go refuses of certificates that this library reads, judged before any host gets one."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from etcd_steward.certificates import UNREADABLE, USAGE_OIDS, address, public_key_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from etcd_steward.certificates import Role

__all__ = ["NEEDED", "authority_problems", "barred", "key_kind", "leaf_problems", "matches"]

# What etcd asks of each: a member shows its peer certificate to those that it dials too.
NEEDED: dict[Role, tuple[str, ...]] = {
    "server": ("serverAuth",),
    "peer": ("clientAuth", "serverAuth"),
    "client": ("clientAuth",),
    "health": ("clientAuth",),
}

# crypto/x509 and crypto/tls of Go: the curves that it knows by name, the sizes that a handshake takes.
_CURVES = (ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_RSA_BITS = (1024, 8192)
_HANDLED = {
    ExtensionOID.KEY_USAGE,
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    ExtensionOID.CERTIFICATE_POLICIES,
}


def authority_problems(certificate: x509.Certificate) -> list[str]:
    """Say why Go would not take certificates that this authority signs, whatever they are.

    Args:
        certificate: the authority's.

    Returns:
        Short phrases; empty where nothing is in the way.
    """
    problems = _form(certificate)
    if problems:
        return problems
    # Servers answer, and clients and members show themselves, under one authority.
    return _unusable(certificate, ("clientAuth", "serverAuth"))


def leaf_problems(
    certificate: x509.Certificate, above: Sequence[x509.Certificate], role: Role, reached_at: Iterable[str]
) -> list[str]:
    """Say why Go would not take a certificate that was made elsewhere.

    Args:
        certificate: the member's or the client's own.
        above: those that follow it in its file.
        role: what it is for.
        reached_at: names and addresses at which it is asked for; those of a client are not looked at.

    Returns:
        Short phrases; empty where nothing is in the way.
    """
    problems = []
    for one in (certificate, *above):
        problems += _form(one) + _weak(one) + _unusable(one, NEEDED[role])
    if problems:
        return problems
    names = names_of(certificate)
    if role in {"server", "peer"}:
        missing = [name for name in dict.fromkeys(reached_at) if not any(matches(own, name) for own in names)]
        if missing:
            problems.append(f"not for {', '.join(missing)} (it names {', '.join(names) or 'nobody'})")
    for one in above:
        problems += barred(one, names)
    return problems


def key_kind(certificate: x509.Certificate) -> str:
    """Name the kind of a certificate's key as cipher suites do; empty where none does.

    Args:
        certificate: any.
    """
    try:
        key = certificate.public_key()
    except UNREADABLE:
        return ""
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) else ""


def names_of(certificate: x509.Certificate) -> list[str]:
    """List the names and addresses that a certificate is for; Go passes over its common name."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *found.get_values_for_type(x509.DNSName),
        *map(str, found.get_values_for_type(x509.IPAddress)),
    ]


def matches(own: str, name: str) -> bool:
    """Tell whether a name of a certificate covers one that is asked for, as Go has it.

    Args:
        own: a name or an address in the certificate; a star stands for its first label.
        name: the name or the address that is asked for.
    """
    number = address(name)
    if number is not None or address(own) is not None:
        return address(own) == number
    own, name = own.lower(), name.lower().removesuffix(".")
    if own == name:
        return True
    first, _, rest = name.partition(".")
    return own.startswith("*.") and bool(first) and bool(rest) and own[2:] == rest


def barred(authority: x509.Certificate, names: Iterable[str]) -> list[str]:
    """Say which names an authority may not sign for, by its name constraints.

    Args:
        authority: its certificate.
        names: names and addresses.

    Returns:
        A phrase, or nothing.
    """
    try:
        limits = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return []
    outside = [
        name
        for name in names
        if _covered(limits.excluded_subtrees or [], name) is True
        or _covered(limits.permitted_subtrees or [], name) is False
    ]
    return [f"name constraints that leave out {', '.join(outside)}"] if outside else []


def _covered(subtrees: Iterable[x509.GeneralName], name: str) -> bool | None:
    """Tell whether any subtree of the name's kind holds it; None where there is none of that kind."""
    number = address(name)
    if number is not None:
        ranges = [one.value for one in subtrees if isinstance(one, x509.IPAddress)]
        networks = [one for one in ranges if isinstance(one, ipaddress.IPv4Network | ipaddress.IPv6Network)]
        return any(number in one for one in networks) if ranges else None
    domains = [one.value.lower() for one in subtrees if isinstance(one, x509.DNSName)]
    return any(_within(name.lower().removesuffix("."), domain) for domain in domains) if domains else None


def _within(name: str, domain: str) -> bool:
    if not domain:
        return True
    # With a leading dot only names below it are meant (Go, matchDomainConstraint).
    return name.endswith(domain) if domain.startswith(".") else name == domain or name.endswith(f".{domain}")


def _form(certificate: x509.Certificate) -> list[str]:
    """Say what Go cannot even parse."""
    try:
        key = certificate.public_key()
        written_alike = public_key_bytes(key) in certificate.tbs_certificate_bytes
        odd = [
            one.oid.dotted_string
            for one in certificate.extensions
            if one.critical and one.oid not in _HANDLED
        ]
        negative = certificate.serial_number < 0
    except UNREADABLE as error:
        return [f"a form that cannot be read ({error})"]
    problems = []
    if isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, _CURVES):
        problems.append(f"a key on the curve {key.curve.name}, which etcd does not know")
    elif not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        problems.append("a key that is neither RSA, ECDSA nor Ed25519")
    elif not written_alike:
        # Explicit parameters of a curve, a compressed point, a key for RSA-PSS alone.
        problems.append(
            "a key in a form that etcd does not read (an RSA-PSS key, or a curve that is not given by its name)"
        )
    if isinstance(key, rsa.RSAPublicKey) and not _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
        problems.append(f"an RSA key of {key.key_size} bits, outside {_RSA_BITS[0]} to {_RSA_BITS[1]}")
    if negative:
        problems.append("a negative serial number")
    if odd:
        problems.append(f"critical extensions that etcd does not know ({', '.join(odd)})")
    return problems


def _weak(certificate: x509.Certificate) -> list[str]:
    """Judge the signature; that of a trusted authority nobody looks at."""
    try:
        digest = certificate.signature_hash_algorithm
    except UNREADABLE:
        return ["a signature that etcd does not know"]
    if isinstance(digest, hashes.MD5 | hashes.SHA1):
        return [f"a signature by {digest.name}, which etcd refuses"]
    return []


def _unusable(certificate: x509.Certificate, usages: Iterable[str]) -> list[str]:
    try:
        granted = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return []
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in granted:
        return []
    missing = [usage for usage in usages if USAGE_OIDS[usage] not in granted]
    return [f"an extended key usage without {' and '.join(missing)}"] if missing else []
