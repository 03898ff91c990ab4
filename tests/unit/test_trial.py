"""Certificates are judged as etcd's Go judges them: what this library reads and Go does not is refused before."""

import ipaddress
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.authority import PkiError
from etcd_steward.certificates import USAGE_OIDS
from etcd_steward.trial import authority_problems, barred, leaf_problems, matches
from tests.unit.authorities import DAY, NOW
from tests.unit.test_authority_brought import _self_signed

CA = x509.BasicConstraints(ca=True, path_length=None)
KEY = ec.generate_private_key(ec.SECP256R1())
ROLES = ("server", "peer", "client", "health")
LABEL = st.text("abcxyz019", min_size=1, max_size=5)


def made(*extensions, key=KEY, digest=None, critical=False):
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, NOW - DAY, NOW + DAY)
    for extension in extensions:
        builder = builder.add_extension(extension, critical)
    edwards = isinstance(key, ed25519.Ed25519PrivateKey)
    return builder.sign(key, None if edwards else (digest or hashes.SHA256()))


def usage(*names):
    return x509.ExtendedKeyUsage([USAGE_OIDS[name] for name in names])


def names(*entries):
    return x509.SubjectAlternativeName(general(entries))


def general(entries):
    return [
        x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() or ":" in one else x509.DNSName(one)
        for one in entries
    ]


@pytest.mark.parametrize(
    "key",
    [
        *(
            ec.generate_private_key(curve())
            for curve in (ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
        ),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-224", "P-256", "P-384", "P-521", "RSA", "Ed25519"],
)
def test_what_go_knows_is_taken(key):
    assert authority_problems(made(CA, key=key)) == []


@pytest.mark.parametrize("curve", [ec.SECP256K1, ec.BrainpoolP256R1, ec.BrainpoolP384R1, ec.BrainpoolP512R1])
def test_a_curve_that_go_does_not_know_is_refused_with_the_file(brought, curve):
    key = ec.generate_private_key(curve())
    assert f"the curve {key.curve.name}" in authority_problems(made(CA, key=key))[0]
    brought.paths[0].write_text(_self_signed(CA, key=key))
    brought.paths[1] = None
    with pytest.raises(PkiError, match=r"ca.crt: found a key on the curve .*, wanted an authority whose"):
        brought.read()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the odd forms are made with openssl")
@pytest.mark.parametrize(
    "words",
    [
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
        ["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"],
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    ],
    ids=["explicit parameters", "RSA-PSS", "secp256k1"],
)
def test_forms_that_go_does_not_read_are_refused_before(brought, tmp_path, words):
    command = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=a", "-days", "9", *words]
    command += ["-keyout", str(tmp_path / "k"), "-out", str(brought.paths[0])]
    subprocess.run(command, check=True, capture_output=True)
    brought.paths[1] = None
    with pytest.raises(PkiError, match=r"ca.crt: found "):
        brought.read(now=NOW + DAY / 24)


def test_a_small_rsa_key_and_a_critical_extension_that_nobody_knows_are_refused():
    small = rsa.generate_private_key(65537, 1024)
    assert authority_problems(made(CA, key=small)) == []
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
    assert "1.2.3.4" in authority_problems(made(CA, odd, critical=True))[0]
    assert authority_problems(made(CA, odd)) == []


@pytest.mark.parametrize(
    ("granted", "fits"),
    [(("serverAuth",), False), (("clientAuth",), False), (("clientAuth", "serverAuth"), True), ((), True)],
)
def test_an_authority_that_is_limited_to_some_use_must_grant_both(granted, fits):
    found = authority_problems(made(CA, *([usage(*granted)] if granted else [])))
    assert (found == []) is fits


def test_any_use_is_every_use():
    anything = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    assert authority_problems(made(CA, anything)) == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("granted", [("serverAuth",), ("clientAuth",), ("clientAuth", "serverAuth"), ()])
def test_a_pair_must_have_the_uses_of_its_role(role, granted):
    leaf = made(names("10.0.0.1"), *([usage(*granted)] if granted else []))
    wanted = {"server": {"serverAuth"}, "peer": {"clientAuth", "serverAuth"}}.get(role, {"clientAuth"})
    assert (leaf_problems(leaf, [], role, ["10.0.0.1"]) == []) is (not granted or wanted <= set(granted))


def test_the_use_counts_along_the_chain():
    above = made(CA, usage("serverAuth"))
    assert leaf_problems(made(usage("clientAuth")), [above], "client", []) != []


@pytest.mark.parametrize("role", ["server", "peer"])
def test_a_pair_of_a_member_must_name_where_it_is_reached(role):
    leaf = made(names("10.9.9.9", "localhost", "127.0.0.1"))
    told = leaf_problems(leaf, [], role, ["10.0.0.1", "127.0.0.1"])
    assert told == ["not for 10.0.0.1 (it names localhost, 10.9.9.9, 127.0.0.1)"]
    assert leaf_problems(leaf, [], role, ["10.9.9.9", "127.0.0.1"]) == []
    assert leaf_problems(made(), [], role, ["n1"])[0].startswith("not for n1")


def test_a_client_needs_no_name():
    assert leaf_problems(made(), [], "client", ["n1"]) == []


@given(LABEL, LABEL, LABEL)
def test_a_star_stands_for_exactly_the_first_label(first, second, third):
    base = f"{second}.example"
    assert matches(f"*.{base}", f"{first}.{base}")
    assert not matches(f"*.{base}", f"{third}.{first}.{base}")
    assert not matches(f"*.{base}", base)
    assert matches(f"{first}.{base}".upper(), f"{first}.{base}.")


@given(st.ip_addresses(), st.ip_addresses())
def test_addresses_are_compared_as_addresses(one, other):
    assert matches(one.exploded, str(one))
    assert matches(str(one), str(other)) is (one == other)
    assert not matches("*", str(one))


@pytest.mark.parametrize(
    ("permitted", "excluded", "outside"),
    [
        (["example.org"], [], ["localhost", "example.com"]),
        ([".example.org"], [], ["localhost", "example.org", "example.com"]),
        ([], ["example.com"], ["example.com"]),
        (["example.org", "localhost", "example.com"], [], []),
    ],
)
def test_name_constraints_are_those_of_go(permitted, excluded, outside):
    limits = x509.NameConstraints(general(permitted) or None, general(excluded) or None)
    found = barred(made(CA, limits), ["localhost", "example.org", "a.example.org", "example.com", "10.0.0.1"])
    assert found == ([f"name constraints that leave out {', '.join(outside)}"] if outside else [])


def test_ranges_of_addresses_limit_addresses_alone():
    limits = x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))], None)
    assert barred(made(CA, limits), ["n1", "10.1.1.1"]) == []
    assert barred(made(CA, limits), ["127.0.0.1", "::1"]) == [
        "name constraints that leave out 127.0.0.1, ::1"
    ]
    assert barred(made(CA), ["n1"]) == []
