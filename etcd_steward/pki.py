"""Make certificates, and judge whether those that are there may stay; without clock or files."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from etcd_steward.certificates import (
    USAGE_OIDS,
    Authority,
    CertificateFacts,
    LeafSpec,
    Pair,
    PkiError,
    Role,
    Subject,
    address,
    bundle,
    canonical_names,
    days_left,
    key_text,
    pair,
    read_certificate,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "BACKDATE",
    "USAGES",
    "Authority",
    "CertificateFacts",
    "LeafSpec",
    "Pair",
    "PkiError",
    "Role",
    "Subject",
    "bundle",
    "canonical_names",
    "create_authority",
    "days_left",
    "differences",
    "issue",
    "pair",
    "read_certificate",
]

# A Raspberry Pi has no clock chip: after a power cut it resumes at the time of its last shutdown, hours ago,
# and would refuse a certificate made just now. A day covers a night without power.
BACKDATE = timedelta(hours=24)

# Servers carry clientAuth too: etcd's gRPC gateway dials its own client port with the server certificate
# (etcd security guide, "TLS auth"); peers dial and answer with the same certificate.
USAGES: dict[Role, tuple[str, ...]] = {
    "server": ("clientAuth", "serverAuth"),
    "peer": ("clientAuth", "serverAuth"),
    "client": ("clientAuth",),
    "health": ("clientAuth",),
}

_DNS_NAME = re.compile(
    r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
)
_MISTYPED_ADDRESS = re.compile(r"\.[0-9]+$")
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def create_authority(common_name: str, *, subject: Subject, days: int, now: datetime) -> Authority:
    """Make a new certificate authority that may sign leaves only.

    Args:
        common_name: Its CN, at most 64 characters.
        subject: Further subject fields.
        days: Validity from `now` on.
        now: The current time, with time zone.

    Returns:
        The authority with its private key.

    Raises:
        PkiError: A subject field is not acceptable.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = _x509_name(common_name, subject)
    start = _whole_second(now)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - BACKDATE)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def issue(authority: Authority, spec: LeafSpec, *, now: datetime) -> Pair:
    """Make a key and have the authority sign its certificate.

    Args:
        authority: Who signs; its key must be here.
        spec: What the certificate must be.
        now: The current time, with time zone.

    Returns:
        Certificate and key; the certificate never outlives the authority.

    Raises:
        PkiError: The authority cannot sign or is not valid now, or a name or subject field is not acceptable.
    """
    issuer = authority.certificate
    start = _whole_second(now)
    if authority.key is None:
        msg = f"found only the certificate of {authority!r}, wanted its key too"
        raise PkiError(f"{msg}; next: run where the key is, or give it by setting")
    if not issuer.not_valid_before_utc <= start < issuer.not_valid_after_utc:
        span = f"{_moment(issuer.not_valid_before_utc)} to {_moment(issuer.not_valid_after_utc)}"
        msg = f"found {authority!r} valid from {span}, wanted one valid at {_moment(start)}"
        raise PkiError(f"{msg}; next: check this machine's clock, else rotate the CA")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_x509_name(spec.common_name, spec.subject))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(start - BACKDATE, issuer.not_valid_before_utc))
        .not_valid_after(min(start + timedelta(days=spec.days), issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([USAGE_OIDS[u] for u in USAGES[spec.role]]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_authority_key_identifier(issuer), critical=False)
    )
    if spec.names:
        names = [_general_name(name) for name in canonical_names(spec.names)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    # Ed25519 brings its own hash; only a brought CA can have such a key.
    edwards = isinstance(authority.key, ed25519.Ed25519PrivateKey)
    certificate = builder.sign(authority.key, None if edwards else hashes.SHA256())
    return pair(Authority(certificate).pem + authority.chain, key_text(key))


def differences(
    pem: str,
    spec: LeafSpec,
    *,
    trusted: Sequence[Authority],
    now: datetime,
    renew_days: int,
    key_sha256: str | None,
) -> list[str]:
    """Tell why a certificate must be issued again.

    A validity of another length is no reason. Nor is the renewal window when the certificate already lasts as
    long as its authority: issuing again could not make it longer.

    Args:
        pem: The certificate file on the host.
        spec: What it must be.
        trusted: The authorities that may have signed it.
        now: The current time, with time zone.
        renew_days: Issue again when so many days or fewer are left.
        key_sha256: SHA-256 of the key file on the host, lower-case hex; None when there is none.

    Returns:
        Short phrases for operators; empty means keep it.
    """
    facts = read_certificate(pem)
    if facts is None:
        return ["certificate: found none that can be read"]
    issuer = facts.issued_by(trusted)
    reasons = [*_pair_differences(facts, key_sha256), *_content_differences(facts, spec)]
    if issuer is None:
        wanted = " or ".join(
            f"{a.certificate.subject.rfc4514_string()} ({a.fingerprint[:16]})" for a in trusted
        )
        same_name = any(facts.certificate.issuer == a.certificate.subject for a in trusted)
        found = facts.issuer + (" of the same name but another key" if same_name else "")
        reasons.append(f"issuer: found {found}, wanted {wanted or 'a trusted one'}")
    elif issuer.above and "".join(one.pem for one in bundle(pem)[1:]) != issuer.chain:
        reasons.append("chain: found another than up to the root of its authority")
    left = facts.not_after - now
    lasts_as_long_as_issuer = issuer is not None and facts.not_after >= issuer.certificate.not_valid_after_utc
    if left <= timedelta(0):
        reasons.append(f"expired on {_moment(facts.not_after)}")
    elif left <= timedelta(days=renew_days) and not lasts_as_long_as_issuer:
        reasons.append(f"expires in {left.days} days (renewal window {renew_days})")
    if facts.not_before > now:
        reasons.append(f"not valid before {_moment(facts.not_before)}")
    return reasons


def _pair_differences(facts: CertificateFacts, key_sha256: str | None) -> list[str]:
    if key_sha256 is None:
        return ["key: found none on the host"]
    if facts.key_sha256 is None:
        return ["key: the certificate does not say which key is its own"]
    if facts.key_sha256 != key_sha256:
        return ["the key on the host belongs to another certificate"]
    return []


def _content_differences(facts: CertificateFacts, spec: LeafSpec) -> list[str]:
    reasons = []
    subject = _x509_name(spec.common_name, spec.subject)
    if facts.certificate.subject != subject:
        found = facts.certificate.subject.rfc4514_string()
        reasons.append(f"subject: found {found or 'none'}, wanted {subject.rfc4514_string()}")
    names = canonical_names(spec.names)
    if facts.names != names:
        reasons.append(f"names: found {_listed(facts.names)}, wanted {_listed(names)}")
    usages = (*facts.usages, *(["certificate authority"] if facts.is_authority else []))
    if usages != USAGES[spec.role]:
        reasons.append(f"usages: found {_listed(usages)}, wanted {_listed(USAGES[spec.role])}")
    return reasons


def _x509_name(common_name: str, subject: Subject) -> x509.Name:
    fields = (
        (NameOID.COUNTRY_NAME, subject.country),
        (NameOID.STATE_OR_PROVINCE_NAME, subject.province),
        (NameOID.LOCALITY_NAME, subject.locality),
        (NameOID.ORGANIZATION_NAME, subject.organization),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, subject.organizational_unit),
        (NameOID.COMMON_NAME, common_name),
    )
    try:
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in fields if value])
    except ValueError as error:
        msg = f"found {common_name!r} with {subject}, wanted a valid X.509 subject ({error})"
        raise PkiError(f"{msg}; next: correct the subject settings") from None


def _general_name(name: str) -> x509.GeneralName:
    number = address(name)
    if number:
        return x509.IPAddress(number)
    if not _DNS_NAME.fullmatch(name) or _MISTYPED_ADDRESS.search(name):
        raise PkiError(f"found {name!r}, wanted a DNS name or an IP address; next: correct the extra names")
    return x509.DNSName(name)


def _key_usage(*granted: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in granted for usage in _KEY_USAGES})


def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        identifier = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _whole_second(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError("now needs a time zone")
    return now.astimezone(UTC).replace(microsecond=0)


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items) or "none"
