"""Cipher suites with which etcd ends, or with which nobody whose TLS is 1.2 gets in, are refused before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.config_keys import HTTP2, unshared, values
from etcd_steward.settings import read_settings
from etcd_steward.trial import key_kind
from etcd_steward.versions import Version

ALL = values("cipher-suites", Version(3, 6, 16)) or []
NEW = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
OURS, RSA = HTTP2


def told(suites, **config):
    data = {"etcd_config": {"cipher-suites": suites, **config}, "etcd_allow_open": True}
    return [str(one) for one in read_settings("n1", data)[1]]


# As measured with 3.4.23, 3.5.30, 3.6.16 and 3.7.3, and keys of ECDSA.
@pytest.mark.parametrize(
    ("suites", "said"),
    [
        ([OURS], ""),
        ([OURS, *NEW], ""),
        ([RSA, OURS], ""),
        ([RSA, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"], ""),
        ([RSA, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"], ""),
        (["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"], "http2: TLSConfig.CipherSuites is missing"),
        (NEW, "http2: TLSConfig.CipherSuites is missing"),
        (["TLS_RSA_WITH_AES_128_GCM_SHA256"], "http2: TLSConfig.CipherSuites is missing"),
        (["TLS_RSA_WITH_RC4_128_SHA"], "http2: TLSConfig.CipherSuites is missing"),
        ([RSA], "tls: no cipher suite supported by both client and server"),
        ([RSA, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"], "no cipher suite supported by both"),
        ([RSA, *NEW], "no cipher suite supported by both"),
        (["TLS_ECDHE_ECDSA_WITH_AES_128_GCM"], "which etcd 3.6.14 does not know"),
        ([], ""),
    ],
)
def test_row_20_suites_with_which_etcd_ends_or_takes_nobody_are_refused_with_its_reason(suites, said):
    found = told(suites)
    assert len(found) == bool(said)
    assert said in "".join(found)
    if said.startswith(("tls", "no")):
        assert f"next: add {OURS} to it" in found[0]


@given(st.lists(st.sampled_from(ALL), unique=True, min_size=1))
def test_row_20_what_is_accepted_has_a_suite_for_http2_and_one_for_our_keys(suites):
    fits = {
        one for one in suites if one.startswith("TLS_ECDHE_ECDSA_") and ("_GCM_" in one or "CHACHA20" in one)
    }
    assert (told(suites) == []) == bool(fits and set(suites) & set(HTTP2))


@pytest.mark.parametrize(
    ("config", "right"),
    [
        ({"tls-max-version": "TLS1.2"}, True),
        ({"tls-min-version": "TLS1.2", "tls-max-version": "TLS1.3"}, True),
        ({"tls-min-version": "TLS1.3"}, False),
        ({"tls-min-version": "TLS1.3", "tls-max-version": "TLS1.2"}, False),
    ],
)
def test_row_20_versions_of_tls_and_suites_are_judged_together(config, right):
    assert (told([OURS], **config) == []) is right


def test_row_20_ready_made_pairs_are_not_judged_by_what_is_made_here():
    data = {"etcd_config": {"cipher-suites": [RSA]}, "etcd_certificates_dir": "ready"}
    assert read_settings("n1", data)[1] == []
    assert unshared({"cipher-suites": [RSA]}, "RSA") is None
    assert unshared({"cipher-suites": [OURS]}, "RSA") is not None
    assert unshared({}, "RSA") is None


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "ECDSA"),
        (ed25519.Ed25519PrivateKey.generate(), "ECDSA"),
        (rsa.generate_private_key(65537, 2048), "RSA"),
    ],
)
def test_a_key_is_of_the_kind_that_suites_name(key, kind):
    now, name = datetime.now(UTC), x509.Name([])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    assert key_kind(made.sign(key, digest)) == kind
