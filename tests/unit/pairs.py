"""Authorities and certificates for tests that parse and judge them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509

from etcd_steward.pki import (
    Authority,
    LeafSpec,
    Pair,
    Subject,
    differences,
)

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
SUBJECT = Subject("CN", "cloud-atlas", "Shanghai", "huatai", "edge")
NAMES = ("localhost", "m1.example.org", "127.0.0.1", "::1")


def spec(role="server", **changes):
    return replace(LeafSpec(role, "m1", NAMES, subject=SUBJECT, days=365), **changes)


def key_digest(made: Pair) -> str:
    return hashlib.sha256(made.key_pem.encode()).hexdigest()


def judge(made: Pair, wanted: LeafSpec, *trusted: Authority, now=NOW, renew_days=30, key_sha256=""):
    digest = key_digest(made) if key_sha256 == "" else key_sha256
    return differences(
        made.certificate_pem, wanted, trusted=trusted, now=now, renew_days=renew_days, key_sha256=digest
    )


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def granted(usage: x509.KeyUsage) -> set[str]:
    names = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
    ]
    return {name for name in names if getattr(usage, name)}
