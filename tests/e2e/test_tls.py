"""A member believes only whom its authorities have signed: real handshakes against deployed members."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.x509.oid import NameOID

from etcd_steward.authority import Store
from etcd_steward.certificates import Authority, LeafSpec, Pair, Role, Subject
from etcd_steward.pki import create_authority, issue
from tests.e2e.watching import client_context, get, rejected
from tests.targets import mirror
from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

# Debian's 3.4 needs glibc; the others are static. What is promised here holds for a cluster of any size.
CLUSTERS = {
    mirror.DEFAULT: (("alpine",) * 3, "ssh"),
    "3.4.23": (("debian",), "docker"),
    "3.7.3": (("centos",), "docker"),
}
CLIENTS = 2379
PEERS = 2380
NOW, AN_HOUR_AGO, IN_TWO_DAYS = timedelta(), timedelta(hours=-1), timedelta(days=2)


def _id(version: str) -> str:
    return f"{version} on {title(CLUSTERS[version][0][0])}"


@pytest.fixture(params=list(CLUSTERS), ids=_id)
def site(request: pytest.FixtureRequest, shared: Callable[..., Site]) -> Site:
    return shared(*CLUSTERS[request.param], etcd_version=request.param)


@pytest.fixture
def host(site: Site) -> Host:
    return site.hosts[0]


def _common_name(authority: Authority) -> str:
    return str(authority.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@dataclass
class Signer:
    """Signs what an operator, an intruder or a forgetful colleague could come with."""

    site: Site
    folder: Path

    def __post_init__(self) -> None:
        found = Store(self.site.pki).load()
        assert found is not None
        self.ours: dict[str, Authority] = {"client": found.client, "peer": found.peer}
        # It even has the name of ours: only its key is another.
        self.strangers = {
            kind: create_authority(
                authority.certificate.subject.rfc4514_string().removeprefix("CN="),
                subject=Subject(),
                days=10,
                now=datetime.now(UTC),
            )
            for kind, authority in self.ours.items()
        }

    @property
    def controller(self) -> str:
        """The address from which this machine connects to the hosts."""
        return f"{self.site.hosts[0].address.rpartition('.')[0]}.1"

    def pair(self, authority: Authority, role: Role, *names: str, at: timedelta = NOW, days: int = 5) -> Pair:
        """Make a pair as if it had been made at another time; it is valid from a day before."""
        spec = LeafSpec(role, "etcd-peer" if role == "peer" else "somebody", names, days=days)
        return issue(authority, spec, now=datetime.now(UTC) + at)

    def context(self, pair: Pair | None, trusting: str = "client") -> ssl.SSLContext:
        """Make a client that verifies the server, and shows the pair if there is one."""
        context = ssl.create_default_context(cadata=self.ours[trusting].pem)
        if pair is not None:
            file = self.folder / "shown.pem"
            file.touch(mode=0o600)
            file.write_text(pair.certificate_pem + pair.key_pem)
            context.load_cert_chain(file)
        return context


@pytest.fixture
def signer(site: Site, tmp_path: Path) -> Signer:
    return Signer(site, tmp_path)


CLIENT_FAULTS = {
    "no certificate": ("certificate", lambda _: None),
    "a stranger's authority": (
        "unknown authority",
        lambda signer: signer.pair(signer.strangers["client"], "client"),
    ),
    "an expired certificate": (
        "has expired",
        lambda signer: signer.pair(signer.ours["client"], "client", at=AN_HOUR_AGO, days=0),
    ),
    "a certificate that is not valid yet": (
        "not yet valid",
        lambda signer: signer.pair(signer.ours["client"], "client", at=IN_TWO_DAYS),
    ),
    "a certificate of the members' authority": (
        "unknown authority",
        lambda signer: signer.pair(signer.ours["peer"], "peer", signer.controller),
    ),
}


def test_a_client_of_the_authority_is_heard(site: Site, signer: Signer) -> None:
    context = signer.context(signer.pair(signer.ours["client"], "client"))
    for host in site.hosts:
        status, body = get(host.address, CLIENTS, "/version", context)
        assert (status, json.loads(body)["etcdserver"]) == (200, site.settings["etcd_version"])


@pytest.mark.parametrize("fault", CLIENT_FAULTS)
def test_a_client_with_another_proof_is_not_heard(site: Site, host: Host, signer: Signer, fault: str) -> None:
    reason, make = CLIENT_FAULTS[fault]
    assert reason in rejected(site, host, CLIENTS, signer.context(make(signer)))


def test_a_client_certificate_is_refused_on_the_peer_port(site: Site, host: Host, signer: Signer) -> None:
    member = signer.pair(signer.ours["peer"], "peer", signer.controller)
    assert get(host.address, PEERS, "/version", signer.context(member, "peer"))[0] == http.HTTPStatus.OK
    for authority in (signer.ours["client"], signer.strangers["peer"]):
        client = signer.pair(authority, "client", signer.controller)
        assert "unknown authority" in rejected(site, host, PEERS, signer.context(client, "peer"))


def test_a_member_is_believed_by_its_own_names_only(site: Site, host: Host, signer: Signer) -> None:
    pairs = {
        CLIENTS: (signer.pair(signer.ours["client"], "client"), "client"),
        PEERS: (signer.pair(signer.ours["peer"], "peer", signer.controller), "peer"),
    }
    for port, (pair, authority) in pairs.items():
        for name in (host.address, host.name, "localhost", "127.0.0.1", "::1"):
            with _greeting(host, port, signer.context(pair, authority), name) as encrypted:
                assert encrypted.version()
        for name in ("etcd.example.org", signer.controller):
            with pytest.raises(ssl.SSLCertVerificationError, match="is not valid for"):
                _greeting(host, port, signer.context(pair, authority), name)


def test_a_members_own_pairs_work_where_they_are(site: Site) -> None:
    for host in site.hosts:
        assert get(host.address, CLIENTS, "/version", client_context(site, host))[0] == http.HTTPStatus.OK


def _greeting(host: Host, port: int, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    with socket.create_connection((host.address, port), timeout=10) as plain:
        return context.wrap_socket(plain, server_hostname=name)


# Who made the newcomer's certificate, for which address, and why it is not heard.
NEWCOMERS = {
    "a stranger": (lambda signer: signer.strangers["peer"], None, "unknown authority"),
    "the clients' authority": (lambda signer: signer.ours["client"], None, "unknown authority"),
    "the members' authority for another address": (
        lambda signer: signer.ours["peer"],
        "203.0.113.1",
        "is valid for 203.0.113.1, not",
    ),
}


@pytest.fixture
def newcomer(site: Site, host: Host) -> Iterator[Callable[[Pair], None]]:
    """Give a function that starts one more member on a host, on ports of its own, with its pair for peers."""
    folder, peer_url = "/run/newcomer", f"https://{host.address}:12380"
    added: list[int] = []

    def add() -> bool:
        said = site.etcdctl(
            *(host, "member", "add", "newcomer", "--learner", f"--peer-urls={peer_url}", "-w", "json"),
            check=False,
        )
        added.extend(json.loads(line)["member"]["ID"] for line in said.splitlines() if '"member"' in line)
        assert added or "unhealthy cluster" in said, said
        return bool(added)

    # etcd accepts nobody in the first 5 s in which all its members know each other.
    wait_until("cluster that accepts a member", add, 30)

    def start(pair: Pair) -> None:
        host.write(f"{folder}/peer.pem", pair.certificate_pem)
        host.write(f"{folder}/peer-key.pem", pair.key_pem, 0o600)
        listed = json.loads(site.etcdctl(host, "member", "list", "-w", "json"))["members"]
        everybody = ",".join(f"{one.get('name', 'newcomer')}={one['peerURLs'][0]}" for one in listed)
        flags = {
            "name": "newcomer",
            "data-dir": f"{folder}/data",
            "listen-peer-urls": peer_url,
            "initial-advertise-peer-urls": peer_url,
            "listen-client-urls": "http://127.0.0.1:12379",
            "advertise-client-urls": "http://127.0.0.1:12379",
            "initial-cluster": everybody,
            "initial-cluster-state": "existing",
            "peer-cert-file": f"{folder}/peer.pem",
            "peer-key-file": f"{folder}/peer-key.pem",
            "peer-trusted-ca-file": "/etc/etcd/pki/peer-ca.pem",
            "peer-client-cert-auth": "true",
            "logger": "zap",
        }
        words = " ".join(f"--{key}={value}" for key, value in flags.items())
        host.run(f"cd {folder} && {{ etcd {words} >log 2>&1 & echo $! >pid; }}")

    yield start
    host.run(f"kill $(cat {folder}/pid); mv {folder} $(mktemp -d)", check=False)
    site.etcdctl(host, "member", "remove", f"{added[0]:x}")


def _joined(site: Site, host: Host) -> bool:
    listed = json.loads(site.etcdctl(host, "member", "list", "-w", "json"))["members"]
    return any(one.get("name") == "newcomer" for one in listed)


@pytest.mark.parametrize("maker", NEWCOMERS)
def test_a_member_with_the_certificate_of_somebody_else_cannot_join(
    site: Site, host: Host, signer: Signer, newcomer: Callable[[Pair], None], maker: str
) -> None:
    authority, address, reason = NEWCOMERS[maker]
    known = set(site.log(host))
    newcomer(signer.pair(authority(signer), "peer", address or host.address))
    gave_up = "! kill -0 $(cat /run/newcomer/pid) 2>/dev/null"
    wait_until("end of the newcomer", lambda: host.run(gave_up, check=False).returncode == 0, 60)
    assert "cannot fetch cluster info from peer urls" in host.read("/run/newcomer/log")
    told = [line for line in site.log(host) if line not in known and "rejected connection" in line]
    assert any(reason in line for line in told), told
    assert not _joined(site, host)


def test_a_member_with_its_own_certificate_can_join(
    site: Site, host: Host, signer: Signer, newcomer: Callable[[Pair], None]
) -> None:
    newcomer(signer.pair(signer.ours["peer"], "peer", host.address))
    wait_until("newcomer that joined", lambda: _joined(site, host), 30)
