"""Folders of authorities, our own and brought ones."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import serialization

from etcd_steward.authority import given
from etcd_steward.pki import Subject, create_authority

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
FILES = ["ca-key.pem", "ca.pem", "peer-ca-key.pem", "peer-ca.pem"]
PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()


def create(store):
    return store.create(Subject(organization="huatai"), 3650, NOW)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def key_text(authority, encryption=PLAIN):
    return authority.key.private_bytes(PEM, PKCS8, encryption).decode()


def fingerprints(authorities):
    return authorities.client.fingerprint, authorities.peer.fingerprint


class Brought:
    """Four files that a user brings; any can be replaced."""

    def __init__(self, folder):
        self.client = create_authority("client", subject=Subject(), days=90, now=NOW)
        self.peer = create_authority("peer", subject=Subject(), days=90, now=NOW)
        texts = (self.client.pem, key_text(self.client), self.peer.pem, key_text(self.peer))
        self.paths = [folder / name for name in ("ca.crt", "ca.key", "peer.crt", "peer.key")]
        for path, text in zip(self.paths, texts, strict=True):
            path.write_text(text)

    def read(self, *, now=NOW, environ=None):
        return given(*self.paths, now=now, environ=environ or {})
