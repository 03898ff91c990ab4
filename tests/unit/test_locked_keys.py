"""Keys under a passphrase: in the usual format, with many rounds, and older ones as before."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from unittest import mock

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward import locked_keys
from etcd_steward.authority import PASSPHRASE, Store
from etcd_steward.certificates import Subject

KEYS = [
    ec.generate_private_key(ec.SECP256R1()),
    ec.generate_private_key(ec.SECP521R1()),
    rsa.generate_private_key(65537, 2048),
    ed25519.Ed25519PrivateKey.generate(),
]
PLAIN = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@given(
    st.sampled_from(KEYS),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100),
    st.integers(1, 70000),
)
def test_whatever_the_key_the_passphrase_and_the_rounds_the_library_reads_it_back(key, passphrase, rounds):
    with mock.patch.object(locked_keys, "ROUNDS", rounds):
        text = locked_keys.locked_text(key, passphrase)
    found = serialization.load_pem_private_key(text.encode(), passphrase.encode())
    assert found.private_bytes(*PLAIN) == key.private_bytes(*PLAIN)
    with pytest.raises((TypeError, ValueError)):
        serialization.load_pem_private_key(text.encode(), None)


def test_d24_the_authorities_keys_have_as_many_rounds_as_they_should_and_others_tools_read_them(tmp_path):
    passphrase = "correct horse battery staple"
    store = Store(tmp_path / "pki", environ={PASSPHRASE: passphrase})
    made = store.create(Subject(), 10, datetime.now(UTC))
    paths = [tmp_path / "pki" / name for name in ("ca-key.pem", "peer-ca-key.pem")]
    assert store.load().client.fingerprint == made.client.fingerprint
    salts = set()
    for path in paths:
        content = serialization.load_pem_private_key(path.read_bytes(), passphrase.encode())
        assert content.key_size == 256
        assert path.stat().st_mode & 0o777 == 0o600
        if not shutil.which("openssl"):
            continue
        tree = subprocess.run(
            ["openssl", "asn1parse", "-in", path], capture_output=True, text=True, check=True
        ).stdout
        assert "INTEGER           :0927C0" in tree, "600 000"
        assert all(word in tree for word in ("PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc"))
        salts |= {
            line.rpartition(":")[2] for line in tree.splitlines() if "OCTET STRING" in line and "HEX" in line
        }
        opened = ["openssl", "pkey", "-in", path, "-passin", "env:P", "-noout", "-check"]
        subprocess.run(
            opened, capture_output=True, check=True, env={"P": passphrase, "PATH": "/usr/bin:/bin"}
        )
    assert len(salts) >= (4 if shutil.which("openssl") else 0), "each has a salt and a start of its own"


def test_d24_keys_of_an_earlier_release_are_read_as_before(tmp_path):
    folder, passphrase = tmp_path / "pki", "correct horse"
    plain = Store(folder, environ={}).create(Subject(), 10, datetime.now(UTC))
    older = serialization.BestAvailableEncryption(passphrase.encode())
    for name in ("ca-key.pem", "peer-ca-key.pem"):
        key = serialization.load_pem_private_key((folder / name).read_bytes(), None)
        (folder / name).write_bytes(key.private_bytes(serialization.Encoding.PEM, PLAIN[1], older))
    found = Store(folder, environ={PASSPHRASE: passphrase}).load()
    assert found.client.can_sign
    assert found.client.fingerprint == plain.client.fingerprint
