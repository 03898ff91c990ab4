"""Certificates are read and judged: each drift gives its own reason and no other."""

from __future__ import annotations

import hashlib
import itertools
import ssl
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.pki import (
    BACKDATE,
    Authority,
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
from tests.unit.pairs import DAY, NAMES, NOW, SUBJECT, judge, spec

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
        comment = _SAMPLE.certificate_pem.partition("\n")[0]
        text = f"{comment}\n{ssl.DER_cert_to_PEM_cert(bytes(damaged))}"
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
