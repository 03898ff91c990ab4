"""An issuing authority below a company's root works for every kind of client, and lets nobody else in."""

from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from etcd_steward.authority import PkiError
from etcd_steward.certificates import Authority, bundle, chained
from etcd_steward.credentials import Credentials
from etcd_steward.pki import differences, issue
from tests.engine.fakes import World
from tests.unit.authorities import DAY, NOW, key_text
from tests.unit.pairs import spec
from tests.unit.test_pki_tls import BOTH_ACCEPT, Ports


def below(upper, name, days=900):
    """Make an authority whose certificate another one signs; without one, a root."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer = upper.certificate.subject if upper else own
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        False,
    )
    signed_by = upper.certificate.public_key() if upper else key.public_key()
    builder = (
        x509.CertificateBuilder(
            issuer, own, key.public_key(), x509.random_serial_number(), NOW - DAY, NOW + days * DAY
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                **usage, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by), critical=False)
    )
    return Authority(builder.sign(upper.key if upper else key, hashes.SHA256()), key)


ROOT = below(None, "root")
BETWEEN = below(ROOT, "between")
ISSUING = below(BETWEEN, "issuing")
COMPANY = ISSUING.pem + BETWEEN.pem + ROOT.pem


@pytest.fixture
def company(brought):
    brought.paths[0].write_text(COMPANY)
    brought.paths[1].write_text(key_text(ISSUING))
    return brought


class Strict(Ports):
    """OpenSSL as Python before 3.13 and most programs use it: no chain ends below a root."""

    def context(self, *how):
        context = super().context(*how)
        context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


def clients_trust(tmp_path, authorities):
    cluster = World(tmp_path).cluster
    return Credentials(cluster, authorities, (authorities.client.pem, authorities.peer.pem)).for_clients()


@pytest.mark.parametrize("trust", ["delivered", "root"])
def test_clients_on_openssl_take_what_is_shown_with_the_delivered_file_and_with_the_root_alone(
    company, tmp_path, trust
):
    authorities = company.read()
    trusted = clients_trust(tmp_path, authorities) if trust == "delivered" else ROOT.pem
    ends = Strict(tmp_path).shake(
        server=issue(authorities.client, spec("server"), now=NOW),
        client=issue(authorities.client, spec("client"), now=NOW),
        server_trusts=ROOT.pem,
        client_trusts=trusted,
    )
    assert ends == BOTH_ACCEPT


def test_members_trust_the_issuing_authority_and_nobody_else_whom_the_root_signs_for(company, tmp_path):
    authorities = company.read()
    carried = authorities.client.pem
    assert [one.fingerprint for one in bundle(carried)] == [ISSUING.fingerprint]
    stranger = issue(below(ROOT, "another"), spec("client"), now=NOW)
    ours = issue(authorities.client, spec("client"), now=NOW)
    assert chained(ours.certificate_pem, bundle(carried))
    assert not chained(stranger.certificate_pem, bundle(carried))
    assert clients_trust(tmp_path, authorities) == COMPANY


def test_the_root_is_not_sent_along(company):
    shown = bundle(issue(company.read().client, spec("server"), now=NOW).certificate_pem)
    assert [one.fingerprint for one in shown[1:]] == [ISSUING.fingerprint, BETWEEN.fingerprint]


def test_an_authority_without_anybody_above_shows_itself_alone(brought):
    authorities = brought.read()
    assert len(bundle(issue(authorities.client, spec("server"), now=NOW).certificate_pem)) == 1


def test_a_certificate_without_the_chain_is_made_anew(company):
    client = company.read().client
    bare, whole = (
        issue(one, spec("server"), now=NOW) for one in (Authority(client.certificate, client.key), client)
    )
    for made, reasons in ((bare, 1), (whole, 0)):
        key = made.certificate_pem.splitlines()[0].split()[-1]
        told = differences(
            made.certificate_pem, spec("server"), trusted=[client], now=NOW, renew_days=10, key_sha256=key
        )
        assert len(told) == reasons


@pytest.mark.parametrize(
    "text",
    [
        ISSUING.pem,
        ISSUING.pem + BETWEEN.pem,
        ISSUING.pem + ROOT.pem,
        ISSUING.pem + ROOT.pem + BETWEEN.pem,
        COMPANY + below(None, "another").pem,
        ISSUING.pem + BETWEEN.pem + below(None, "root").pem,
        ISSUING.pem + issue(ISSUING, spec("server"), now=NOW).certificate_pem,
    ],
    ids=["alone", "rootless", "gap", "order", "more", "false root", "leaf"],
)
def test_what_leads_to_no_root_is_refused_with_the_file(brought, text):
    brought.paths[0].write_text(text)
    brought.paths[1].write_text(key_text(ISSUING))
    with pytest.raises(PkiError, match=r"ca\.crt: found .*, wanted .*; next: "):
        brought.read()


def test_a_root_that_has_ended_is_refused(brought):
    root = below(None, "root", days=20)
    issuing = below(root, "issuing")
    brought.paths[0].write_text(issuing.pem + root.pem)
    brought.paths[1].write_text(key_text(issuing))
    assert brought.read().client.above
    with pytest.raises(PkiError, match=r"ca\.crt: found an authority valid from"):
        brought.read(now=NOW + 30 * DAY)
