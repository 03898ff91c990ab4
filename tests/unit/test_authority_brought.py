"""Authorities and ready-made pairs that an operator brings."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from etcd_steward.authority import PASSPHRASE, PkiError, ready_made
from etcd_steward.pki import LeafSpec, differences, issue, read_certificate
from tests.unit.authorities import DAY, NOW, PEM, PKCS8, PLAIN, fingerprints, key_text

# Brought authorities


def test_brought_authorities_are_taken(brought):
    found = brought.read()
    assert fingerprints(found) == (brought.client.fingerprint, brought.peer.fingerprint)
    assert found.client.can_sign
    assert found.peer.can_sign


def test_brought_certificates_may_come_without_keys(brought):
    brought.paths[1] = brought.paths[3] = None
    assert not brought.read().client.can_sign


def test_a_brought_key_may_be_encrypted(brought):
    locked = serialization.BestAvailableEncryption(b"correct horse")
    brought.paths[1].write_text(key_text(brought.client, locked))
    assert brought.read(environ={PASSPHRASE: "correct horse"}).client.can_sign
    with pytest.raises(PkiError, match=r"ca.key: found an encrypted key and ETCD_CA_PASSPHRASE not set"):
        brought.read()


def test_a_commented_certificate_with_non_ascii_text_is_taken(brought):
    brought.paths[0].write_text(f"Subject: O=华泰\n{brought.client.pem}", encoding="utf-8")
    assert brought.read().client.fingerprint == brought.client.fingerprint


def _leaf(brought):
    return issue(brought.client, LeafSpec("server", "m1", days=30), now=NOW).certificate_pem


def _self_signed(*extensions, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, NOW - DAY, NOW + DAY)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(PEM).decode()


def _ca_without_key_cert_sign(brought):
    others = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
    )
    refused = dict.fromkeys((*others, "key_cert_sign", "encipher_only", "decipher_only"), False)
    usage = x509.KeyUsage(crl_sign=True, **refused)
    return _self_signed(x509.BasicConstraints(ca=True, path_length=None), usage)


def test_an_old_authority_without_key_usage_is_taken(brought):
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    brought.paths[0].write_text(_self_signed(constraints, key=brought.client.key))
    assert brought.read().client.can_sign


@pytest.mark.parametrize(
    ("which", "content", "sentence"),
    [
        (0, _leaf, r"ca.crt: found a certificate that may not sign others, wanted .*; next: "),
        (
            2,
            _ca_without_key_cert_sign,
            r"peer.crt: found a certificate that may not sign others, wanted .*; next: ",
        ),
        (
            0,
            lambda b: _self_signed(),
            r"ca.crt: found a certificate that may not sign others, wanted .*; next: ",
        ),
        (0, lambda b: "", r"ca.crt: found no readable certificates, wanted the one that signs; next: "),
        (0, lambda b: b.client.pem + b.peer.pem, r"ca.crt: found .* behind .*, which it has not signed"),
        (
            1,
            lambda b: key_text(b.peer),
            r"ca.key: found the key of another certificate, wanted that of .*ca.crt; next: ",
        ),
        (3, lambda b: key_text(b.client), r"peer.key: found the key of another certificate"),
        (1, lambda b: "nonsense", r"ca.key: found no readable key, wanted a PEM private key; next: "),
        (
            1,
            lambda b: x25519.X25519PrivateKey.generate().private_bytes(PEM, PKCS8, PLAIN).decode(),
            r"ca.key: found a key that etcd cannot use, wanted ECDSA, RSA or Ed25519; next: ",
        ),
    ],
)
def test_a_brought_file_that_does_not_fit_is_told(brought, which, content, sentence):
    brought.paths[which].write_text(content(brought))
    with pytest.raises(PkiError, match=sentence):
        brought.read()


def test_a_file_that_is_no_text_is_told(brought):
    brought.paths[0].write_bytes(brought.client.certificate.public_bytes(serialization.Encoding.DER))
    with pytest.raises(PkiError, match=r"ca.crt: found bytes that are not text, wanted PEM; next: "):
        brought.read()


@pytest.mark.parametrize("name", ["ca.crt", "peer.key"])
def test_a_file_that_is_not_there_is_told(brought, name):
    next(path for path in brought.paths if path.name == name).unlink()
    with pytest.raises(PkiError, match=f"{name}: found No such file or directory, wanted .*; next: "):
        brought.read()


@pytest.mark.parametrize("days", [-2, 90])
def test_an_authority_outside_its_dates_is_refused(brought, days):
    with pytest.raises(
        PkiError, match=r"ca.crt: found an authority valid from .*, wanted one valid on .*; next: "
    ):
        brought.read(now=NOW + days * DAY)


def test_one_authority_for_both_ports_is_refused_as_clients_could_be_peers(brought):
    brought.paths[2:] = brought.paths[:2]
    with pytest.raises(
        PkiError, match=r"found one key behind the client and peer authorities, wanted two, .*; next: "
    ):
        brought.read()


def test_no_refusal_shows_a_key(brought):
    secret = key_text(brought.peer).splitlines()[1]
    brought.paths[0].write_text(key_text(brought.peer))
    with pytest.raises(PkiError) as refusal:
        brought.read()
    assert secret not in str(refusal.value)
    assert secret not in repr(refusal.value)
    assert refusal.value.__cause__ is None


# Ready-made pairs


@pytest.fixture
def ready(tmp_path, brought):
    own = tmp_path / "ready" / "m1"
    own.mkdir(parents=True)
    for role in ("server", "peer"):
        made = issue(
            getattr(brought, "peer" if role == "peer" else "client"), LeafSpec(role, "m1", days=30), now=NOW
        )
        (own / f"{role}.pem").write_text(made.certificate_pem.partition("\n")[2])
        (own / f"{role}-key.pem").write_text(made.key_pem)
    return own


def test_ready_made_pairs_are_taken_and_bound_to_their_keys(ready, brought):
    pairs = ready_made(ready.parent, "m1")
    assert set(pairs) == {"server", "peer"}
    for role, made in pairs.items():
        on_disk = (ready / f"{role}-key.pem").read_bytes()
        assert made.key_pem.encode() == on_disk
        reasons = differences(
            made.certificate_pem,
            LeafSpec(role, "m1", days=30),
            trusted=[brought.client, brought.peer],
            now=NOW,
            renew_days=9,
            key_sha256=hashlib.sha256(on_disk).hexdigest(),
        )
        assert reasons == []


def test_a_key_with_other_line_ends_is_written_with_those_that_a_host_can_be_given(ready):
    path = ready / "server-key.pem"
    plain = path.read_text()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    made = ready_made(ready.parent, "m1")["server"]
    assert made.key_pem == plain
    assert read_certificate(made.certificate_pem).key_sha256 == hashlib.sha256(plain.encode()).hexdigest()


def test_a_key_in_the_file_of_the_certificate_stays_on_the_controller(ready):
    key, path = (ready / "server-key.pem").read_text(), ready / "server.pem"
    for text in (path.read_text() + key, key + path.read_text()):
        path.write_text(text)
        made = ready_made(ready.parent, "m1")["server"]
        assert "PRIVATE" not in made.certificate_pem
        assert key.splitlines()[1] not in made.certificate_pem


def test_an_authority_with_text_in_another_encoding_is_taken(brought):
    brought.paths[0].write_bytes("Straße\n".encode("latin-1") + brought.client.pem.encode())
    assert brought.read().client.pem == brought.client.pem


def test_the_chain_behind_a_ready_made_certificate_is_kept(ready, brought):
    path = ready / "server.pem"
    path.write_text(path.read_text() + brought.client.pem)
    assert ready_made(ready.parent, "m1")["server"].certificate_pem.endswith(brought.client.pem)


@pytest.mark.parametrize("missing", ["server.pem", "peer-key.pem"])
def test_half_a_ready_made_pair_is_refused(ready, missing):
    (ready / missing).unlink()
    with pytest.raises(PkiError, match=f" without {missing}, wanted both; next: add {missing}"):
        ready_made(ready.parent, "m1")


def test_a_chain_in_the_wrong_order_is_refused(ready, brought):
    path = ready / "server.pem"
    path.write_text(brought.client.pem + path.read_text())
    with pytest.raises(PkiError, match="next: put the host's own certificate first"):
        ready_made(ready.parent, "m1")


def test_an_encrypted_leaf_key_is_refused_as_etcd_cannot_open_it(ready, brought, monkeypatch):
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    locked = serialization.BestAvailableEncryption(b"correct horse")
    (ready / "server-key.pem").write_text(key_text(brought.client, locked))
    with pytest.raises(PkiError, match=r"found an encrypted key, wanted a plain one; next: "):
        ready_made(ready.parent, "m1")


def test_a_ready_made_certificate_that_cannot_be_read_is_refused(ready):
    (ready / "peer.pem").write_text("nonsense")
    with pytest.raises(PkiError, match=r"peer.pem: found no readable certificate, wanted PEM; next: "):
        ready_made(ready.parent, "m1")


def test_a_host_without_a_folder_is_told(ready):
    with pytest.raises(PkiError, match="m2: found No such file or directory"):
        ready_made(ready.parent, "m2")


@pytest.mark.parametrize("name", ["", ".", "..", "../m1", "/etc", "a/b"])
def test_a_host_name_cannot_lead_out_of_the_folder(ready, name):
    with pytest.raises(PkiError, match="wanted a host name that can name a folder"):
        ready_made(ready.parent, name)
