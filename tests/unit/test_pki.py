"""Certificates are parsed back field by field, judged, and used in real TLS handshakes."""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.pki import (
    BACKDATE,
    Authority,
    LeafSpec,
    Pair,
    PkiError,
    Subject,
    bundle,
    canonical_names,
    create_authority,
    days_left,
    differences,
    issue,
    pair,
    read_certificate,
)

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
SUBJECT = Subject("CN", "cloud-atlas", "Shanghai", "huatai", "edge")
NAMES = ("localhost", "m1.example.org", "127.0.0.1", "::1")


def spec(role="server", **changes):
    return replace(LeafSpec(role, "m1", NAMES, subject=SUBJECT, days=365), **changes)


@pytest.fixture(scope="module")
def client_ca():
    return create_authority("etcd client CA of pi", subject=SUBJECT, days=3650, now=NOW)


@pytest.fixture(scope="module")
def peer_ca():
    return create_authority("etcd peer CA of pi", subject=SUBJECT, days=3650, now=NOW)


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


# What is read


def test_reading_tells_what_was_issued(client_ca):
    made = issue(client_ca, spec(), now=NOW)
    facts = read_certificate(made.certificate_pem)
    assert facts.common_name == "m1"
    assert facts.names == NAMES
    assert (facts.not_before, facts.not_after) == (NOW - BACKDATE, NOW + 365 * DAY)
    assert facts.usages == ("clientAuth", "serverAuth")
    assert not facts.is_authority
    assert facts.issuer == client_ca.certificate.subject.rfc4514_string()
    assert facts.issued_by([client_ca]) is client_ca
    der = facts.certificate.public_bytes(serialization.Encoding.DER)
    assert facts.fingerprint == hashlib.sha256(der).hexdigest()
    assert int(facts.serial, 16) == facts.certificate.serial_number


@pytest.mark.parametrize(
    "text", ["", "# key-sha256 00\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_told_as_such(text, client_ca):
    assert read_certificate(text) is None
    assert bundle(text) == []
    reasons = differences(text, spec(), trusted=[client_ca], now=NOW, renew_days=30, key_sha256="0" * 64)
    assert reasons == ["certificate: found none that can be read"]
    with pytest.raises(PkiError, match="found no readable certificate"):
        days_left(text, NOW)


_SAMPLE_CA = create_authority("sample", subject=SUBJECT, days=90, now=NOW)
_SAMPLE = issue(_SAMPLE_CA, spec(), now=NOW)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_certificate_with_one_bit_flipped_is_never_a_crash_and_never_kept():
    certificate = x509.load_pem_x509_certificate(_SAMPLE.certificate_pem.encode())
    der = certificate.public_bytes(serialization.Encoding.DER)
    for place in range(len(der) * 8):
        damaged = bytearray(der)
        damaged[place // 8] ^= 1 << place % 8
        text = pair(ssl.DER_cert_to_PEM_cert(bytes(damaged)), _SAMPLE.key_pem).certificate_pem
        assert judge(Pair(text, _SAMPLE.key_pem), spec(), _SAMPLE_CA) != [], place
        assert len(f"{bundle(text)}") > 0


def test_a_signature_that_declares_unused_bits_is_unreadable_as_it_is_to_go(client_ca):
    # Only where the last bit is 0 may it be declared unused.
    made = (read_certificate(issue(client_ca, spec(), now=NOW).certificate_pem) for _ in itertools.count())
    certificate = next(facts.certificate for facts in made if facts.certificate.signature[-1] & 1 == 0)
    der = certificate.public_bytes(serialization.Encoding.DER)
    start = len(der) - len(certificate.signature)
    text = ssl.DER_cert_to_PEM_cert(der[: start - 1] + b"\x01" + der[start:])
    assert x509.load_pem_x509_certificate(text.encode()).signature == certificate.signature
    assert read_certificate(text) is None


def test_a_bundle_yields_all_its_authorities_in_order(client_ca, peer_ca):
    read = bundle(f"# old and new\n{client_ca.pem}{peer_ca.pem}")
    assert [one.fingerprint for one in read] == [client_ca.fingerprint, peer_ca.fingerprint]
    assert not any(one.can_sign for one in read)


def test_days_left_are_whole_days_and_negative_after_the_end(client_ca):
    text = issue(client_ca, spec(days=10), now=NOW).certificate_pem
    assert days_left(text, NOW) == 10
    assert days_left(text, NOW + timedelta(seconds=1)) == 9
    assert days_left(text, NOW + 12 * DAY) == -2


def test_names_are_compared_in_one_spelling():
    assert canonical_names(["B.example.ORG.", "b.example.org", "0:0::1", "10.0.0.1", "fe80::1%eth0"]) == (
        "b.example.org",
        "10.0.0.1",
        "::1",
        "fe80::1",
    )


LABEL = st.from_regex(r"[A-Za-z]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?", fullmatch=True)
DNS_NAMES = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
ADDRESSES = st.ip_addresses().flatmap(
    lambda address: st.sampled_from([str(address), address.exploded, address.exploded.upper()])
)
_ANY_CA = create_authority("any", subject=SUBJECT, days=3650, now=NOW)


@given(names=st.lists(DNS_NAMES | ADDRESSES | DNS_NAMES.map("*.{}".format), max_size=8), shuffle=st.randoms())
def test_what_was_just_issued_is_kept_whatever_the_names_and_their_order(names, shuffle):
    wanted = spec(names=tuple(names))
    made = issue(_ANY_CA, wanted, now=NOW)
    shuffle.shuffle(names)
    assert judge(made, spec(names=tuple(names)), _ANY_CA) == []


@given(
    names=st.lists(
        DNS_NAMES | ADDRESSES, min_size=1, max_size=6, unique_by=lambda name: canonical_names([name])
    )
)
def test_one_name_more_or_less_is_always_noticed(names):
    fewer, more = spec(names=tuple(names[1:])), spec(names=tuple(names))
    for have, want in ((fewer, more), (more, fewer)):
        (reason,) = judge(issue(_ANY_CA, have, now=NOW), want, _ANY_CA)
        assert reason.startswith("names: found ")


# What is judged: each drift gives its own reason and no other


def test_a_certificate_as_wanted_is_kept(client_ca):
    for role in ("server", "peer", "client", "health"):
        assert judge(issue(client_ca, spec(role), now=NOW), spec(role), client_ca) == []


def test_another_validity_is_no_reason(client_ca):
    assert judge(issue(client_ca, spec(days=200), now=NOW), spec(days=365), client_ca) == []


@pytest.mark.parametrize(
    ("have", "want", "reason"),
    [
        (
            {"names": ("b", "a")},
            {"names": ("a", "b", "c")},
            "names: found a, b, wanted a, b, c",
        ),
        ({"names": ()}, {"names": ("10.0.0.1",)}, "names: found none, wanted 10.0.0.1"),
        (
            {"role": "client"},
            {"role": "server"},
            "usages: found clientAuth, wanted clientAuth, serverAuth",
        ),
        (
            {"role": "server"},
            {"role": "health"},
            "usages: found clientAuth, serverAuth, wanted clientAuth",
        ),
        (
            {"subject": Subject()},
            {"subject": Subject(organization="huatai")},
            "subject: found CN=m1, wanted CN=m1,O=huatai",
        ),
        (
            {"common_name": "m2", "subject": Subject()},
            {"subject": Subject()},
            "subject: found CN=m2, wanted CN=m1",
        ),
    ],
)
def test_what_differs_from_the_settings_is_the_only_reason(client_ca, have, want, reason):
    assert judge(issue(client_ca, spec(**have), now=NOW), spec(**want), client_ca) == [reason]


def test_a_foreign_issuer_is_named_with_the_wanted_one(client_ca, peer_ca):
    made = issue(peer_ca, spec(), now=NOW)
    found, wanted = (ca.certificate.subject.rfc4514_string() for ca in (peer_ca, client_ca))
    assert judge(made, spec(), client_ca) == [
        f"issuer: found {found}, wanted {wanted} ({client_ca.fingerprint[:16]})"
    ]
    assert judge(made, spec(), client_ca, peer_ca) == []


def test_an_issuer_of_the_same_name_but_another_key_is_not_believed(client_ca):
    impostor = create_authority("etcd client CA of pi", subject=SUBJECT, days=3650, now=NOW)
    (reason,) = judge(issue(impostor, spec(), now=NOW), spec(), client_ca)
    assert reason.startswith("issuer: found ")
    assert " of the same name but another key, wanted " in reason


def test_a_forged_key_identifier_does_not_stand_in_for_a_signature(client_ca):
    forger = Authority(client_ca.certificate, ec.generate_private_key(ec.SECP256R1()))
    (reason,) = judge(issue(forger, spec(), now=NOW), spec(), client_ca)
    assert reason.startswith("issuer: ")


def test_an_authority_delivered_as_a_leaf_is_noticed(client_ca):
    text = pair(client_ca.pem, "key").certificate_pem
    reasons = judge(Pair(text, "key"), spec(), client_ca)
    assert "usages: found certificate authority, wanted clientAuth, serverAuth" in reasons


@pytest.mark.parametrize(
    ("key_sha256", "reason"),
    [
        ("0" * 64, "the key on the host belongs to another certificate"),
        (None, "key: found none on the host"),
    ],
)
def test_a_key_that_does_not_belong_is_a_reason(client_ca, key_sha256, reason):
    assert judge(issue(client_ca, spec(), now=NOW), spec(), client_ca, key_sha256=key_sha256) == [reason]


def test_a_certificate_without_the_line_cannot_prove_its_key(client_ca):
    made = issue(client_ca, spec(), now=NOW)
    bare = Pair(made.certificate_pem.partition("\n")[2], made.key_pem)
    assert judge(bare, spec(), client_ca) == ["key: the certificate does not say which key is its own"]


def test_the_renewal_window_begins_on_its_day_and_ends_in_expiry(client_ca):
    made = issue(client_ca, spec(days=100), now=NOW)
    assert judge(made, spec(), client_ca, now=NOW + 70 * DAY - timedelta(seconds=1)) == []
    assert judge(made, spec(), client_ca, now=NOW + 70 * DAY) == ["expires in 30 days (renewal window 30)"]
    assert judge(made, spec(), client_ca, now=NOW + 88 * DAY) == ["expires in 12 days (renewal window 30)"]
    end = f"{NOW + 100 * DAY:%Y-%m-%d %H:%M} UTC"
    assert judge(made, spec(), client_ca, now=NOW + 100 * DAY) == [f"expired on {end}"]


def test_a_certificate_that_ends_with_its_authority_is_not_issued_over_and_over():
    brief = create_authority("brief", subject=SUBJECT, days=20, now=NOW)
    made = issue(brief, spec(), now=NOW)
    assert judge(made, spec(), brief) == []
    assert judge(made, spec(), brief, now=NOW + 20 * DAY)[0].startswith("expired on ")


def test_a_certificate_from_the_future_is_a_reason(client_ca):
    made = issue(client_ca, spec(), now=NOW + 5 * DAY)
    begin = f"{NOW + 4 * DAY:%Y-%m-%d %H:%M} UTC"
    assert judge(made, spec(), client_ca) == [f"not valid before {begin}"]


# What TLS says


class Ports:
    """Both ends of one connection, each with the certificate and the trust that it is given."""

    def __init__(self, folder):
        self._folder = folder
        self._count = 0

    def context(self, side: int, trusted: str, own: Pair | None) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=trusted)
        if own:
            self._count += 1
            files = [self._folder / f"{self._count}{suffix}" for suffix in (".pem", "-key.pem")]
            for path, text in zip(files, (own.certificate_pem, own.key_pem), strict=True):
                path.write_text(text)
            context.load_cert_chain(*files)
        return context

    def shake(
        self,
        *,
        server: Pair,
        client: Pair | None,
        server_trusts: str,
        client_trusts: str,
        name="m1.example.org",
    ) -> dict[str, str]:
        """Return what each end says: `accepted`, or why it refused."""
        ends = {
            "server": (self.context(ssl.PROTOCOL_TLS_SERVER, server_trusts, server), None),
            "client": (self.context(ssl.PROTOCOL_TLS_CLIENT, client_trusts, client), name),
        }
        with ThreadPoolExecutor(2) as threads:
            sockets = zip(ends.items(), socket.socketpair(), strict=True)
            running = {end: threads.submit(self._talk, *how, raw) for (end, how), raw in sockets}
            return {end: future.result() for end, future in running.items()}

    @staticmethod
    def _talk(context: ssl.SSLContext, name: str | None, raw: socket.socket) -> str:
        raw.settimeout(30)
        try:
            with context.wrap_socket(raw, server_side=name is None, server_hostname=name) as connection:
                # In TLS 1.3 a client is connected before the server has judged it: a byte each way tells.
                connection.sendall(b"?")
                return "accepted" if connection.recv(1) == b"?" else "closed"
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except ssl.SSLError as error:
            return error.reason
        except OSError as error:
            return type(error).__name__


@pytest.fixture
def ports(tmp_path):
    return Ports(tmp_path)


BOTH_ACCEPT = {"server": "accepted", "client": "accepted"}


def other_ca():
    return create_authority("other", subject=SUBJECT, days=9, now=NOW)


def leaf(authority, role, *, now=NOW, **changes):
    return issue(authority, spec(role, **changes), now=now)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("role", ["client", "health", "server"])
def test_the_client_port_accepts_its_clients_under_every_name(ports, client_ca, role, name):
    said = ports.shake(
        server=leaf(client_ca, "server"),
        client=leaf(client_ca, role),
        server_trusts=client_ca.pem,
        client_trusts=client_ca.pem,
        name=name,
    )
    assert said == BOTH_ACCEPT


def test_members_accept_each_other_on_the_peer_port(ports, peer_ca):
    said = ports.shake(
        server=leaf(peer_ca, "peer"),
        client=leaf(peer_ca, "peer"),
        server_trusts=peer_ca.pem,
        client_trusts=peer_ca.pem,
    )
    assert said == BOTH_ACCEPT


@pytest.mark.parametrize("role", ["client", "health", "server"])
def test_no_certificate_of_the_client_port_is_accepted_on_the_peer_port(ports, client_ca, peer_ca, role):
    said = ports.shake(
        server=leaf(peer_ca, "peer"),
        client=leaf(client_ca, role),
        server_trusts=peer_ca.pem,
        client_trusts=peer_ca.pem,
    )
    assert said["server"] == "unable to get local issuer certificate"
    assert said["client"] != "accepted"


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (lambda ca: leaf(other_ca(), "client"), "unable to get local issuer certificate"),
        (lambda ca: None, "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
        (lambda ca: leaf(ca, "client", now=NOW - DAY, days=1), "certificate has expired"),
        (lambda ca: leaf(ca, "client", now=NOW + 3 * DAY), "certificate is not yet valid"),
    ],
    ids=["other-ca", "none", "expired", "not-yet-valid"],
)
def test_the_client_port_refuses_strangers_and_wrong_dates(ports, client, reason):
    # Old enough to have signed what has ended by now.
    early = create_authority("early", subject=SUBJECT, days=3650, now=NOW - 30 * DAY)
    said = ports.shake(
        server=leaf(early, "server"), client=client(early), server_trusts=early.pem, client_trusts=early.pem
    )
    assert said["server"] == reason
    assert said["client"] != "accepted"


def test_a_client_refuses_a_server_under_a_name_that_is_not_its_own(ports, client_ca):
    said = ports.shake(
        server=leaf(client_ca, "server"),
        client=leaf(client_ca, "client"),
        server_trusts=client_ca.pem,
        client_trusts=client_ca.pem,
        name="m2.example.org",
    )
    assert said["client"] == "Hostname mismatch, certificate is not valid for 'm2.example.org'."
    assert said["server"] != "accepted"


def test_a_client_certificate_cannot_pose_as_a_server(ports, client_ca):
    said = ports.shake(
        server=leaf(client_ca, "client"),
        client=leaf(client_ca, "client"),
        server_trusts=client_ca.pem,
        client_trusts=client_ca.pem,
    )
    assert said["client"] == "unsuitable certificate purpose"
    assert said["server"] != "accepted"


def test_during_a_rotation_old_and_new_leaves_are_both_accepted(ports, client_ca):
    new = create_authority("etcd client CA of pi", subject=SUBJECT, days=3650, now=NOW)
    both = client_ca.pem + new.pem
    for server, client in ((client_ca, new), (new, client_ca), (new, new)):
        said = ports.shake(
            server=leaf(server, "server"),
            client=leaf(client, "client"),
            server_trusts=both,
            client_trusts=both,
        )
        assert said == BOTH_ACCEPT
