"""Read authorities, and pairs that were made elsewhere, from files on the controller."""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from etcd_steward.certificates import (
    UNREADABLE,
    Authority,
    Pair,
    PkiError,
    Role,
    bundle,
    key_text,
    pair,
    public_key_bytes,
    read_certificate,
)
from etcd_steward.trial import authority_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

PASSPHRASE = "ETCD_CA_PASSPHRASE"  # noqa: S105 - the variable's name


@dataclass(frozen=True)
class Authorities:
    """The two authorities of a cluster: one is trusted on the client port, the other on the peer port.

    They are two so that no client certificate can ever be a peer: a port takes every certificate of its
    authority, and before 3.6 etcd's configuration file cannot narrow that by name.
    """

    client: Authority
    peer: Authority

    def for_role(self, role: Role) -> Authority:
        """Return the authority that signs certificates of a role.

        Args:
            role: The use of the certificate.

        Returns:
            The peer authority for peers, the client authority for all others.
        """
        return self.peer if role == "peer" else self.client


def given(
    ca_cert: Path,
    ca_key: Path | None,
    peer_ca_cert: Path,
    peer_ca_key: Path | None,
    *,
    now: datetime,
    environ: Mapping[str, str] = os.environ,
) -> Authorities:
    """Take authorities that the user brings.

    Args:
        ca_cert: PEM file of the authority for servers and clients (`etcd_ca_cert`).
        ca_key: Its key (`etcd_ca_key`); None when nothing will be signed here.
        peer_ca_cert: PEM file of the authority for members (`etcd_peer_ca_cert`).
        peer_ca_key: Its key (`etcd_peer_ca_key`), or None.
        now: The current time, with time zone.
        environ: Where the passphrase of the keys is looked up.

    Returns:
        The authorities.

    Raises:
        PkiError: One is no authority, is not valid now, does not match its key, or both are the same.
    """
    with file_errors_told():
        client = read_authority(ca_cert, ca_key, environ)
        peer = read_authority(peer_ca_cert, peer_ca_key, environ)
    certificates = [
        (path, certificate)
        for path, authority in ((ca_cert, client), (peer_ca_cert, peer))
        for certificate in (authority.certificate, *authority.above)
    ]
    for path, certificate in certificates:
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not start <= now < end:
            span = f"{start:%Y-%m-%d} to {end:%Y-%m-%d}"
            raise PkiError(
                f"{path}: found an authority valid from {span}, wanted one valid on {now:%Y-%m-%d}; "
                "next: check this machine's clock, else renew the authority"
            )
    return told_apart(client, peer, f"{ca_cert} and {peer_ca_cert}")


def ready_made(folder: Path, host_name: str) -> dict[Role, Pair]:
    """Read the certificates and keys that were made elsewhere for one host.

    Args:
        folder: Holds a folder for each host (`etcd_certificates_dir`).
        host_name: The host; its folder holds `server.pem`, `server-key.pem`, `peer.pem` and so on.

    Returns:
        The pairs that are there, by role, each certificate with its `# key-sha256` line.

    Raises:
        PkiError: The host's folder is missing, or a pair is incomplete, unreadable or does not match.
    """
    own = folder / host_name
    if own.parent != folder or host_name in {"", ".", ".."}:
        raise PkiError(
            f"found {host_name!r}, wanted a host name that can name a folder; next: rename the host"
        )
    pairs: dict[Role, Pair] = {}
    with file_errors_told():
        entries = os.listdir(own)  # noqa: PTH208
        for role in get_args(Role):
            names = (f"{role}.pem", f"{role}-key.pem")
            present = [name for name in names if name in entries]
            if len(present) == 1:
                missing = next(name for name in names if name not in present)
                raise PkiError(
                    f"{own}: found {present[0]} without {missing}, wanted both; next: add {missing}"
                )
            if present:
                pairs[role] = _ready_pair(own / names[0], own / names[1])
    return pairs


def read_authority(certificate_path: Path, key_path: Path | None, environ: Mapping[str, str]) -> Authority:
    """Read one authority.

    Args:
        certificate_path: PEM file with its certificate, and behind it those above it up to the root, where there are any.
        key_path: Its key; None when nothing will be signed.
        environ: Where the passphrase of the key is looked up.

    Returns:
        The authority.

    Raises:
        PkiError: The certificate may not sign, or a file is unreadable or does not match.
        OSError: A file cannot be opened.
    """
    found = bundle(_text(certificate_path))
    if not found:
        raise PkiError(
            f"{certificate_path}: found no readable certificates, wanted the one that signs; next: replace the file"
        )
    certificate = found[0].certificate
    if not _may_sign(certificate):
        raise PkiError(
            f"{certificate_path}: found a certificate that may not sign others, "
            "wanted basicConstraints CA:TRUE and keyCertSign; next: give the authority's certificate"
        )
    if problems := authority_problems(certificate):
        raise PkiError(
            f"{certificate_path}: found {'; '.join(problems)}, wanted an authority whose certificates etcd takes; "
            "next: give another authority"
        )
    above = _above(certificate_path, found)
    if key_path is None:
        return Authority(certificate, above=above)
    key = _key(key_path, _text(key_path), environ)
    if not _belongs(certificate, key):
        raise PkiError(
            f"{key_path}: found the key of another certificate, wanted that of {certificate_path}; "
            "next: give the files that belong together"
        )
    return Authority(certificate, key, above)


def _above(path: Path, found: list[Authority]) -> tuple[x509.Certificate, ...]:
    """Judge what follows the certificate that signs: each one above the last, up to a root that signs itself.

    Go takes an issuing authority for an anchor. OpenSSL and Python before 3.13 do not, so that clients get the root too.
    """
    for one, upper in itertools.pairwise(found):
        facts = read_certificate(one.pem)
        if facts is None or facts.issued_by([upper]) is None or not _may_sign(upper.certificate):
            raise PkiError(
                f"{path}: found {upper!r} behind {one!r}, which it has not signed, wanted the certificate that signs, then "
                "each one above it up to the root; next: put them in that order, and nothing else into the file"
            )
    last = found[-1]
    facts = read_certificate(last.pem)
    if facts is None or facts.issued_by([last]) is None:
        raise PkiError(
            f"{path}: found {last!r} without the certificate of {last.certificate.issuer.rfc4514_string()} above it, wanted all "
            f"up to the root, as OpenSSL takes no other; next: cat ISSUING.pem ROOT.pem > {path.name}"
        )
    return tuple(one.certificate for one in found[1:])


def told_apart(client: Authority, peer: Authority, where: str) -> Authorities:
    """Put two authorities together that do not share a key.

    Args:
        client: The authority of the client port.
        peer: The authority of the peer port.
        where: The files they come from, for the message.

    Returns:
        The two.

    Raises:
        PkiError: They are one and the same.
    """
    if public_key_bytes(client.certificate.public_key()) == public_key_bytes(peer.certificate.public_key()):
        raise PkiError(
            f"{where}: found one key behind the client and peer authorities, wanted two, "
            "as any client could join as a peer; next: give a peer authority of its own"
        )
    return Authorities(client, peer)


@contextmanager
def file_errors_told() -> Iterator[None]:
    """Tell an OSError as a PkiError.

    Raises:
        PkiError: The block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise PkiError(
            f"{error.filename}: found {error.strerror}, wanted a file or folder that can be used; "
            "next: correct the path or its permissions"
        ) from error


def _ready_pair(certificate_path: Path, key_path: Path) -> Pair:
    certificate_pem, key_pem = _text(certificate_path), _text(key_path)
    facts = read_certificate(certificate_pem)
    if facts is None:
        raise PkiError(
            f"{certificate_path}: found no readable certificate, wanted PEM; next: replace the file"
        )
    # etcd cannot ask for a passphrase, so none is looked up here.
    key = _key(key_path, key_pem, None)
    if not _belongs(facts.certificate, key):
        raise PkiError(
            f"{key_path}: found the key of another certificate, wanted that of {certificate_path.name}'s "
            "first one; next: put the host's own certificate first, or replace the key"
        )
    # Both are written anew from what was read, so that nothing else that stands in the files goes to a host.
    if not bundle(certificate_pem):
        raise PkiError(
            f"{certificate_path}: found a certificate behind the first one that cannot be read, "
            "wanted a chain of certificates; next: replace the file"
        )
    return pair(certificate_pem, key_text(key))


def _key(path: Path, pem: str, environ: Mapping[str, str] | None) -> CertificateIssuerPrivateKeyTypes:
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except TypeError:
        if environ is None:
            raise PkiError(
                f"{path}: found an encrypted key, wanted a plain one; next: decrypt the file"
            ) from None
        passphrase = environ.get(PASSPHRASE)
        if not passphrase:
            raise PkiError(
                f"{path}: found an encrypted key and {PASSPHRASE} not set, wanted its passphrase; "
                f"next: set the environment variable {PASSPHRASE}"
            ) from None
        try:
            key = serialization.load_pem_private_key(pem.encode(), passphrase.encode())
        except ValueError:
            raise PkiError(
                f"{path}: found that the passphrase in {PASSPHRASE} does not open it, wanted the one it was "
                f"encrypted with; next: correct {PASSPHRASE}"
            ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise PkiError(
            f"{path}: found no readable key, wanted a PEM private key; next: replace the file"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise PkiError(
            f"{path}: found a key that etcd cannot use, wanted ECDSA, RSA or Ed25519; next: replace the file"
        )
    return key


def _belongs(certificate: x509.Certificate, key: CertificateIssuerPrivateKeyTypes) -> bool:
    try:
        own = certificate.public_key()
    except UNREADABLE:
        return False
    return public_key_bytes(own) == public_key_bytes(key.public_key())


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        certificate.public_key()
        extensions = certificate.extensions
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        # An old authority may do without keyUsage, which then allows everything (RFC 5280, 4.2.1.3).
        return missing.oid == x509.KeyUsage.oid
    except UNREADABLE:
        return False


def _text(path: Path) -> str:
    content = path.read_bytes()
    if b"-----BEGIN " not in content:
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise PkiError(
                f"{path}: found bytes that are not text, wanted PEM; next: convert the file to PEM"
            ) from None
    # PEM is ASCII; what people write around it may be in any encoding, and begin with a mark of it.
    return content.decode("utf-8-sig", errors="replace")
