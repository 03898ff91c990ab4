"""What certificates are and what they say about themselves."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificateIssuerPrivateKeyTypes,
        CertificatePublicKeyTypes,
    )

Role = Literal["server", "peer", "client", "health"]

USAGE_OIDS = {"clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH, "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH}

# All that the library raises, early or late, at certificates that are damaged or strange.
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

_USAGE_NAMES = {oid: name for name, oid in USAGE_OIDS.items()}
_KEY_COMMENT = re.compile(r"\A# key-sha256 ([0-9a-f]{64})\r?\n")


class PkiError(Exception):
    """Something about certificates is not as it must be: `found …, wanted …; next: …`."""


@dataclass(frozen=True)
class Subject:
    """The X.509 subject fields besides the common name: C, ST, L, O, OU."""

    country: str | None = None
    province: str | None = None
    locality: str | None = None
    organization: str | None = None
    organizational_unit: str | None = None


@dataclass(frozen=True)
class LeafSpec:
    """What one certificate must be: its use, its names (DNS and IP mixed) and its validity in days."""

    role: Role
    common_name: str
    names: tuple[str, ...] = ()
    _: KW_ONLY
    subject: Subject = Subject()
    days: int


@dataclass(frozen=True, repr=False)
class Authority:
    """A certificate authority; `key` is None where only its certificate is here.

    Args:
        certificate: its certificate.
        key: its private key.
        above: the certificates above an issuing authority, each signed by the next, up to the root; as far as they are
            known.
    """

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes | None = None
    above: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> str:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def chain(self) -> str:
        """PEM of what is shown behind each certificate that it signs, so that whoever trusts only the root takes it; not the root."""
        between = [self.certificate, *self.above][: len(self.above)]
        return "".join(Authority(one).pem for one in between)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate's DER form, lower-case hex."""
        return _fingerprint(self.certificate)

    @property
    def can_sign(self) -> bool:
        """Whether the private key is here."""
        return self.key is not None

    def __repr__(self) -> str:
        return f"<Authority {self.certificate.subject.rfc4514_string()} {self.fingerprint[:16]}>"


@dataclass(frozen=True, repr=False)
class Pair:
    """A certificate and its key as PEM; the certificate's first line is `# key-sha256 <hex>`."""

    certificate_pem: str
    key_pem: str

    def __repr__(self) -> str:
        return f"<Pair {self.certificate_pem.partition(chr(10))[0]}>"


@dataclass(frozen=True)
class CertificateFacts:
    """What a certificate says about itself; `key_sha256` comes from its comment line."""

    common_name: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    serial: str
    fingerprint: str
    key_sha256: str | None
    issuer: str
    usages: tuple[str, ...]
    is_authority: bool
    certificate: x509.Certificate = field(repr=False)

    def issued_by(self, trusted: Iterable[Authority]) -> Authority | None:
        """Return the authority whose key really signed this certificate.

        Args:
            trusted: The authorities to try.

        Returns:
            The first one whose name is the issuer's and whose key verifies the signature, or None.
        """
        for authority in trusted:
            try:
                self.certificate.verify_directly_issued_by(authority.certificate)
            except (InvalidSignature, *UNREADABLE):
                continue
            return authority
        return None


def pair(certificate_pem: str, key_pem: str) -> Pair:
    """Bind a certificate to its key by the comment line `# key-sha256 <hex>`.

    What stands in the file besides certificates stays behind: a key beside them would lie open on every host.

    Args:
        certificate_pem: The certificate and those that follow it, with whatever else stands in the file.
        key_pem: The key exactly as it will be written.

    Returns:
        The two; the certificates written anew from what was read, with the right first line.

    Raises:
        PkiError: One of the certificates cannot be read.
    """
    digest = hashlib.sha256(key_pem.encode()).hexdigest()
    certificates = bundle(certificate_pem)
    if not certificates:
        raise PkiError("found no readable certificate, wanted PEM; next: replace the file")
    return Pair(f"# key-sha256 {digest}\n{''.join(one.pem for one in certificates)}", key_pem)


def key_text(key: CertificateIssuerPrivateKeyTypes) -> str:
    """Write a private key the one way in which keys are written: PKCS #8, without a passphrase.

    Args:
        key: The key.

    Returns:
        Its PEM.
    """
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain).decode()


def read_certificate(pem: str) -> CertificateFacts | None:
    """Read the first certificate of a PEM text.

    Args:
        pem: The file's content.

    Returns:
        What it says, or None when there is no readable certificate.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        # Go shifts a signature that declares unused bits, and then refuses it; this library ignores them.
        if not certificate.public_bytes(serialization.Encoding.DER).endswith(b"\0" + certificate.signature):
            return None
        extensions = {type(extension.value): extension.value for extension in certificate.extensions}
        common_names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        comment = _KEY_COMMENT.match(pem)
        alternative = extensions.get(x509.SubjectAlternativeName)
        extended = extensions.get(x509.ExtendedKeyUsage)
        constraints = extensions.get(x509.BasicConstraints)
        names: list[str] = []
        if isinstance(alternative, x509.SubjectAlternativeName):
            names += alternative.get_values_for_type(x509.DNSName)
            names += [str(address) for address in alternative.get_values_for_type(x509.IPAddress)]
        usages: list[str] = []
        if isinstance(extended, x509.ExtendedKeyUsage):
            usages += [_USAGE_NAMES.get(oid, oid.dotted_string) for oid in extended]
        return CertificateFacts(
            common_name=str(common_names[0].value) if common_names else "",
            names=canonical_names(names),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            serial=f"{certificate.serial_number:x}",
            fingerprint=_fingerprint(certificate),
            key_sha256=comment[1] if comment else None,
            issuer=certificate.issuer.rfc4514_string(),
            usages=tuple(sorted(usages)),
            is_authority=isinstance(constraints, x509.BasicConstraints) and constraints.ca,
            certificate=certificate,
        )
    except UNREADABLE:
        return None


def bundle(pem: str) -> list[Authority]:
    """Read every certificate of a file that holds several, as a trusted CA file does during a rotation.

    Args:
        pem: The file's content.

    Returns:
        Authorities without keys, in the file's order; empty when it cannot be read.
    """
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
        for certificate in certificates:
            # The library reads names late: a damaged one must show here, not when it is printed.
            certificate.subject.rfc4514_string()
    except UNREADABLE:
        return []
    return [Authority(certificate) for certificate in certificates]


def lists(pem: str, authority: Authority) -> bool:
    """Tell whether a file of trusted certificates holds an authority.

    Args:
        pem: The file's content.
        authority: The one that is looked for.
    """
    return authority.fingerprint in {one.fingerprint for one in bundle(pem)}


def chained(pem: str, trusted: Iterable[Authority]) -> bool:
    """Tell whether a certificate leads to a trusted authority, by those that follow it in its file.

    Args:
        pem: The certificate file's content, the leaf first.
        trusted: The authorities that are trusted.

    Returns:
        Whether each is signed by another, up to one that is trusted.
    """
    leaf, roots, between = read_certificate(pem), list(trusted), bundle(pem)[1:]
    facts = leaf
    for _ in range(len(between) + 1):
        if facts is None:
            return False
        if facts.issued_by(roots) is not None:
            return True
        issuer = facts.issued_by(between)
        facts = read_certificate(issuer.pem) if issuer else None
    return False


def days_left(pem: str, now: datetime) -> int:
    """Count the whole days until a certificate expires; negative when it has.

    Args:
        pem: The certificate file's content.
        now: The current time, with time zone.

    Returns:
        Days, rounded down.

    Raises:
        PkiError: There is no readable certificate.
    """
    facts = read_certificate(pem)
    if facts is None:
        raise PkiError("found no readable certificate, wanted PEM; next: issue it again")
    return (facts.not_after - now).days


def canonical_names(names: Iterable[str]) -> tuple[str, ...]:
    """Write names the one way in which they are compared: lower case, short IPv6, sorted, each once.

    Args:
        names: DNS names and IP addresses.

    Returns:
        DNS names first, then addresses.
    """
    written = {_canonical_name(name) for name in names}
    return tuple(sorted(written, key=lambda name: (address(name) is not None, name)))


def public_key_bytes(key: CertificatePublicKeyTypes) -> bytes:
    """Return a public key's DER form: what must be equal for a certificate and a key to be a pair."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read a name as an IP address; None when it is a DNS name."""
    try:
        # A certificate has no room for the zone of fe80::1%eth0.
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None


def _canonical_name(name: str) -> str:
    number = address(name)
    # Go rejects a pattern that ends in a dot, and drops the dot from the name it looks for.
    return str(number) if number else name.lower().removesuffix(".")


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()
