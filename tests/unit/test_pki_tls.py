"""Certificates are used in real TLS handshakes."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest

from etcd_steward.pki import (
    Pair,
    create_authority,
    issue,
)
from tests.unit.pairs import DAY, NAMES, NOW, SUBJECT, spec


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
