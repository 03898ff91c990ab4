"""Certificates are parsed back field by field, or refused before they are made."""

from __future__ import annotations

import ipaddress
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from etcd_steward.pki import (
    BACKDATE,
    Authority,
    PkiError,
    Subject,
    create_authority,
    issue,
    pair,
    read_certificate,
)
from tests.unit.pairs import DAY, NOW, extension, granted, judge, key_digest, spec

# What is made


def test_an_authority_may_sign_leaves_only_and_says_so_critically(client_ca):
    certificate = client_ca.certificate
    basic = extension(certificate, x509.BasicConstraints)
    usage = extension(certificate, x509.KeyUsage)
    identifier = extension(certificate, x509.SubjectKeyIdentifier)
    assert len(certificate.extensions) == 3
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert (usage.critical, granted(usage.value)) == (True, {"key_cert_sign", "crl_sign"})
    assert identifier.critical is False
    assert identifier.value == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    assert certificate.subject == certificate.issuer
    assert (
        certificate.subject.rfc4514_string()
        == "CN=etcd client CA of pi,OU=edge,O=huatai,L=Shanghai,ST=cloud-atlas,C=CN"
    )
    assert isinstance(certificate.public_key().curve, ec.SECP256R1)
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    assert certificate.not_valid_before_utc == NOW - BACKDATE
    assert certificate.not_valid_after_utc == NOW + 3650 * DAY
    assert client_ca.can_sign


@pytest.mark.parametrize(
    ("role", "wanted"),
    [
        ("server", {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}),
        ("peer", {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}),
        ("client", {ExtendedKeyUsageOID.CLIENT_AUTH}),
        ("health", {ExtendedKeyUsageOID.CLIENT_AUTH}),
    ],
)
def test_a_leaf_carries_exactly_the_extensions_of_its_role(client_ca, role, wanted):
    certificate = x509.load_pem_x509_certificate(
        issue(client_ca, spec(role), now=NOW).certificate_pem.encode()
    )
    basic = extension(certificate, x509.BasicConstraints)
    usage = extension(certificate, x509.KeyUsage)
    extended = extension(certificate, x509.ExtendedKeyUsage)
    names = extension(certificate, x509.SubjectAlternativeName)
    own = extension(certificate, x509.SubjectKeyIdentifier)
    issuer = extension(certificate, x509.AuthorityKeyIdentifier)
    assert len(certificate.extensions) == 6
    assert (basic.critical, basic.value.ca) == (True, False)
    assert (usage.critical, granted(usage.value)) == (True, {"digital_signature"})
    assert (extended.critical, set(extended.value)) == (False, wanted)
    assert names.critical is False
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost", "m1.example.org"]
    assert names.value.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("::1"),
    ]
    assert own.value == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    ca_identifier = extension(client_ca.certificate, x509.SubjectKeyIdentifier).value
    assert issuer.value.key_identifier == ca_identifier.digest
    assert isinstance(certificate.public_key().curve, ec.SECP256R1)
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    assert certificate.not_valid_before_utc == NOW - BACKDATE
    assert certificate.not_valid_after_utc == NOW + 365 * DAY


def test_the_first_line_of_a_certificate_names_the_digest_of_its_key(client_ca):
    made = issue(client_ca, spec(), now=NOW)
    assert made.certificate_pem.splitlines()[0] == f"# key-sha256 {key_digest(made)}"
    facts = read_certificate(made.certificate_pem)
    assert facts is not None
    assert facts.key_sha256 == key_digest(made)
    key = serialization.load_pem_private_key(made.key_pem.encode(), None)
    assert key.public_key() == facts.certificate.public_key()


def test_binding_a_pair_again_replaces_the_line(client_ca):
    made = issue(client_ca, spec(), now=NOW)
    again = pair(made.certificate_pem, made.key_pem + "\n")
    assert again.certificate_pem.count("# key-sha256") == 1
    assert read_certificate(again.certificate_pem).key_sha256 == key_digest(again) != key_digest(made)


def test_a_leaf_outlives_its_authority_in_neither_direction():
    brief = create_authority("brief", subject=Subject(), days=10, now=NOW + DAY / 2)
    facts = read_certificate(issue(brief, spec(days=365), now=NOW).certificate_pem)
    assert facts.not_after == brief.certificate.not_valid_after_utc == NOW + 10.5 * DAY
    assert facts.not_before == brief.certificate.not_valid_before_utc == NOW - DAY / 2


def test_every_leaf_has_a_serial_and_a_key_of_its_own(client_ca):
    made = [issue(client_ca, spec(), now=NOW) for _ in range(5)]
    assert len({read_certificate(one.certificate_pem).serial for one in made}) == 5
    assert len({one.key_pem for one in made}) == 5


@pytest.mark.parametrize(
    "make", [lambda: rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate]
)
def test_a_brought_authority_may_have_an_rsa_or_ed25519_key(make):
    key = make()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "brought")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, NOW - DAY, NOW + 90 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    brought = Authority(certificate, key)
    made = issue(brought, spec(days=30), now=NOW)
    assert judge(made, spec(days=30), brought, renew_days=10) == []


def test_no_key_shows_in_any_text(client_ca):
    made = issue(client_ca, spec(), now=NOW)
    secret = made.key_pem.splitlines()[1]
    own = client_ca.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    for text in (repr(made), str(made), f"{[made]}", repr(client_ca), str(client_ca)):
        assert "PRIVATE" not in text
        assert secret not in text
        assert own.splitlines()[1] not in text


def test_openssl_agrees_with_the_chain_and_its_purposes(client_ca, tmp_path):
    (tmp_path / "ca.pem").write_text(client_ca.pem)
    for role, purpose in (("server", "sslserver"), ("server", "sslclient"), ("client", "sslclient")):
        (tmp_path / "leaf.pem").write_text(issue(client_ca, spec(role), now=NOW).certificate_pem)
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", "leaf.pem"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stdout == "leaf.pem: OK\n", done.stderr


# What is refused


@pytest.mark.parametrize(
    "name", ["two words", "a..b", "", "-a", "a_b,c", "10.0.0.256", "https://a", "münchen.de"]
)
def test_a_name_that_no_client_could_dial_is_refused(client_ca, name):
    with pytest.raises(PkiError, match="wanted a DNS name or an IP address; next: "):
        issue(client_ca, spec(names=(name,)), now=NOW)


@pytest.mark.parametrize("changes", [{"common_name": "x" * 65}, {"subject": Subject(country="Germany")}])
def test_a_subject_that_x509_does_not_allow_is_refused(client_ca, changes):
    with pytest.raises(PkiError, match=r"wanted a valid X.509 subject .*; next: "):
        issue(client_ca, spec(**changes), now=NOW)


def test_signing_without_the_key_is_refused_with_the_fingerprint(client_ca):
    with pytest.raises(PkiError, match=f"{client_ca.fingerprint[:16]}.*wanted its key too; next: "):
        issue(Authority(client_ca.certificate), spec(), now=NOW)


@pytest.mark.parametrize("days", [-2, 3650, 4000])
def test_an_authority_that_is_not_valid_now_signs_nothing(client_ca, days):
    with pytest.raises(PkiError, match=r"wanted one valid at .*; next: check this machine's clock"):
        issue(client_ca, spec(), now=NOW + days * DAY)


def test_a_time_without_zone_is_refused(client_ca):
    with pytest.raises(ValueError, match="time zone"):
        issue(client_ca, spec(), now=NOW.replace(tzinfo=None))
