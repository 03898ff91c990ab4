"""A cluster gets new authorities under clients that write and connect all the time, also after a cut and a fault."""

from __future__ import annotations

import os
import shutil
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from etcd_steward.authority import Authorities, Store
from etcd_steward.certificates import LeafSpec, Role, bundle, read_certificate
from etcd_steward.locking import FILE
from etcd_steward.pki import Subject, issue
from tests.e2e.faults import broken, others_serve
from tests.e2e.watching import Reconnecting, client_context, context_of, rejected
from tests.e2e.writer import Served, Writer
from tests.targets import hosts as targets
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Kept
    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = [pytest.mark.target, pytest.mark.long]

FAMILIES = ("alpine", "debian", "centos")
PKI = "/etc/etcd/pki"
ROTATE, LOST = "deploys/rotate_ca.py", "--data=etcd_ca_lost=true"
TRUST, READY = "--data=etcd_clients_ready=trust", "--data=etcd_clients_ready=true"
CLIENTS, PEERS = 2379, 2380


@pytest.fixture(scope="module")
def lent(_kept: Kept) -> Iterator[Site]:
    """Give a cluster that nobody uses after this module, as it ends with authorities of its own."""
    yield _kept(FAMILIES, "ssh")
    _kept.release()


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(lent: Site) -> Site:
    targets.SEEN.update(FAMILIES)
    return lent


def authorities(site: Site) -> Authorities:
    found = Store(site.pki).load()
    assert found is not None
    return found


def trusted(host: Host) -> list[list[str]]:
    """Read the fingerprints of the authorities that a host trusts: of clients, and of peers."""
    return [
        [one.fingerprint for one in bundle(host.read(f"{PKI}/{name}"))] for name in ("ca.pem", "peer-ca.pem")
    ]


def signed_by(host: Host, authority: Authorities) -> bool:
    """Tell whether all certificates of a host come from an authority."""
    roles: tuple[Role, ...] = ("server", "peer", "client", "health")
    facts = {role: read_certificate(host.read(f"{PKI}/{role}.pem")) for role in roles}
    return all(one and one.issued_by([authority.for_role(role)]) for role, one in facts.items())


def member_ids(site: Site) -> dict[str, int]:
    return {host.name: site.status(host)["header"]["member_id"] for host in site.hosts}


def cut(site: Site, words: str, times: int, *flags: str) -> None:
    """Start a rotation, and kill it, with all that it started here, once it has said something so many times."""
    process = site.start("-y", *flags, ROTATE)
    try:
        assert process.stderr is not None
        for _ in range(times):
            said = any(words in line for line in process.stderr)
            assert said, f"it ended before it said {words!r} {times} times"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_f16_clients_go_on_while_a_cluster_gets_new_authorities_and_every_run_is_cut_once(site: Site) -> None:
    first, *_ = site.hosts
    old, ids = authorities(site), member_ids(site)
    names = [host.name for host in site.hosts]
    old_pair = first.read(f"{PKI}/client.pem") + first.read(f"{PKI}/client-key.pem")
    with Served(site, reconnect=0.2, seconds=600) as served, Reconnecting(site) as client:
        cut(site, "healthy 3 -> 2 while", 2)
        site.run("-y", ROTATE).failed(
            "found clients that may not trust the next authority yet",
            "trust-both.pem as its authority, then run again with --data etcd_clients_ready=trust",
        )
        bundle_for_clients = (site.pki / "next" / "trust-both.pem").read_text()
        assert [len(prints) for host in site.hosts for prints in trusted(host)] == [2] * 6
        assert all(signed_by(host, old) for host in site.hosts), "nobody has another certificate yet"
        site.run("-y", ROTATE).refused("found clients that may not trust the next authority yet")
        for user in (served, client):
            user.show(context_of(bundle_for_clients, old_pair))

        cut(site, "the turn of", 2, TRUST)
        site.run("-y", TRUST, ROTATE).failed(
            "found clients that may still show certificates of the old authority",
            "then run again with --data etcd_clients_ready=true",
        )
        served.look()
        assert sorted(served.restarted) == names, "each once, and nobody for a certificate"
        for user in (served, client):
            user.show(client_context(site, first))

        cut(site, "healthy 3 -> 2 while", 2, READY)
        site.run("-y", READY, ROTATE).succeeded()
    report = served.report.told("rotate_ca.py, killed in each phase and run again")
    assert client.tls_failures == []
    assert report.tls_failures == 0, report.reasons
    assert min(client.answers[host.name] for host in site.hosts) > 0
    assert sorted(served.restarted) == sorted(names * 2), "each once more"
    new = authorities(site)
    for host in site.hosts:
        assert trusted(host) == [[new.client.fingerprint], [new.peer.fingerprint]]
        assert signed_by(host, new)
    assert not {new.client.fingerprint, new.peer.fingerprint} & {old.client.fingerprint, old.peer.fingerprint}
    assert member_ids(site) == ids
    assert not any(host.exists(FILE) for host in site.hosts)
    site.run("-y", ROTATE).unchanged()
    site.etcd("-y").unchanged()
    _refuses_the_old(site, new)


def _refuses_the_old(site: Site, new: Authorities) -> None:
    """Show a certificate that the old authorities sign today, on both ports of every member."""
    old = Store(site.pki / f"before-{new.client.fingerprint[:16]}").load()
    assert old is not None
    ports: dict[int, tuple[Role, str]] = {CLIENTS: ("client", new.client.pem), PEERS: ("peer", new.peer.pem)}
    for port, (role, believed) in ports.items():
        for host in site.hosts:
            spec = LeafSpec(role, "somebody", (f"{host.address.rpartition('.')[0]}.1",), days=5)
            pair = issue(old.for_role(role), spec, now=datetime.now(UTC))
            shown = context_of(believed, pair.certificate_pem + pair.key_pem)
            assert "unknown authority" in rejected(site, host, port, shown)


def test_a_rotation_without_the_old_keys_stops_at_a_member_that_cannot_start_and_is_finished_when_it_can(
    site: Site,
) -> None:
    lost, ids = site.pki.rename(site.folder / f"lost-{time.time_ns()}"), member_ids(site)
    site.run("-y", ROTATE).refused("no authority in pki/etcd", "--data etcd_ca_lost=true")
    for mode in ("--serial", "--no-wait"):
        site.run("-y", mode, LOST, READY, ROTATE).refused(
            f"found {mode}, wanted all members, as each phase has to reach all of them", "run without it"
        )
    site.run("-y", "--limit=n1", LOST, READY, ROTATE).refused("found --limit or --exclude", "run without it")
    with Writer(site, through=site.hosts[:1]) as writer:
        site.run("-y", LOST, TRUST, ROTATE).failed(
            "found clients that may still show certificates of the old authority"
        )
        writer.show(client_context(site, site.hosts[0]))
    writer.report.served()

    leader = site.status(site.hosts[0])["leader"]
    failing = next(host for host in site.hosts if host.init == "systemd" and ids[host.name] != leader)
    before = site.processes()
    with broken(site, failing):
        said = site.run("-y", LOST, READY, ROTATE).failed(
            f"found {failing.name} not healthy after 10 s",
            "no other member was touched",
            "left untouched, because",
        )
        now = site.processes()
        assert failing.name not in said.text.partition("left untouched, because")[0].rpartition("\n")[2]
        untouched = [host for host in site.hosts if now[host.name] == before[host.name]]
        assert untouched, "not all went on"
        assert [len(prints) for host in untouched for prints in trusted(host)] == [2, 2] * len(untouched)
        others_serve(site, failing)
    site.run("-y", LOST, READY, ROTATE).succeeded()
    new = authorities(site)
    assert all(trusted(host) == [[new.client.fingerprint], [new.peer.fingerprint]] for host in site.hosts)
    assert member_ids(site) == ids
    site.run("-y", LOST, READY, ROTATE).unchanged()
    shutil.copy(lost / "cluster.json", site.pki)
    site.etcd("-y").unchanged()


def test_a_rotation_that_nobody_wants_any_more_goes_back_from_trusting_both(site: Site) -> None:
    ids, present = member_ids(site), authorities(site)
    old = [[present.client.fingerprint], [present.peer.fingerprint]]
    site.run("-y", ROTATE).failed("etcd_clients_ready=trust")
    assert all(len(prints) == 2 for host in site.hosts for prints in trusted(host))
    back = {
        f"etcd_{kind}": str(site.pki / f"{name}.pem")
        for kind, name in (
            ("ca_cert", "ca"),
            ("ca_key", "ca-key"),
            ("peer_ca_cert", "peer-ca"),
            ("peer_ca_key", "peer-ca-key"),
        )
    }
    with Writer(site) as writer:
        site.run("-y", READY, ROTATE, *(f"--data={key}={value}" for key, value in back.items())).succeeded()
    writer.report.served().told("rotate_ca.py, back from trusting both")
    assert [trusted(host) for host in site.hosts] == [old] * len(site.hosts)
    assert all(signed_by(host, present) for host in site.hosts)
    assert not (site.pki / "next").exists()
    assert member_ids(site) == ids
    site.etcd("-y").unchanged()


def test_authorities_of_the_operators_own_come_the_same_way_and_never_by_converging(site: Site) -> None:
    ids, processes, before = member_ids(site), site.processes(), [trusted(host) for host in site.hosts]
    own = Store(site.folder / "own").create(Subject(organization="Example"), 90, datetime.now(UTC), "Example")
    for kind, name in (("ca", "ca"), ("peer_ca", "peer-ca")):
        site.settings[f"etcd_{kind}_cert"] = str(site.folder / "own" / f"{name}.pem")
        site.settings[f"etcd_{kind}_key"] = str(site.folder / "own" / f"{name}-key.pem")
    site.etcd("-y").failed("run deploys/rotate_ca.py with etcd_ca_cert and etcd_peer_ca_cert set to it")
    assert (site.processes(), [trusted(host) for host in site.hosts]) == (processes, before)
    site.run("-y", READY, ROTATE).succeeded()
    for host in site.hosts:
        assert trusted(host) == [[own.client.fingerprint], [own.peer.fingerprint]]
        assert signed_by(host, own)
    assert member_ids(site) == ids
    site.run("-y", READY, ROTATE).unchanged()
    site.etcd("-y").unchanged()
