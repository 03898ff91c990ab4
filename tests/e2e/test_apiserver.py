"""A real kube-apiserver goes on writing while its etcd is worked on: members restart, authorities and releases change."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from etcd_steward.authority import Store
from tests.e2e.apiserver import BUNDLE, ApiServer, ApiWriter
from tests.e2e.conftest import make_site
from tests.e2e.watching import overlaps, restarts
from tests.targets import hosts as targets
from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.steward import Site

pytestmark = [pytest.mark.target, pytest.mark.kubelet]

FAMILIES = ("alpine", "debian", "centos")
# From the newest of one line to the newest of the next, both built from Go modules where upstream's are not there.
OLD, NEW = (max(one for one in mirror.MODULES if one.startswith(line)) for line in ("3.5.", "3.6."))
ROTATE, CLIENTS = "deploys/rotate_ca.py", "deploys/clients.py"
READY = "--data=etcd_clients_ready=true"


@pytest.fixture(scope="module")
def made(
    docker_answers: None, mirror_url: str, cache: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, ApiServer]]:
    """Give a cluster of the older release, and an API server on a host of its own that lives on it."""
    with ExitStack() as stack:
        settings = {"etcd_version": OLD, "etcd_force_version": False}
        folder = tmp_path_factory.mktemp("apiserver")
        site = make_site(stack, FAMILIES, "ssh", mirror_url, cache, folder, {"settings": settings})
        (host,) = site.lab.start({"api": "debian"})
        site.add_client(host, etcd_client_dir=BUNDLE, etcd_client_name="kube-apiserver")
        site.etcd("-y").succeeded()
        site.run("-y", CLIENTS).succeeded()
        server = ApiServer(site, host)
        server.install()
        yield site, server


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(made: tuple[Site, ApiServer]) -> Site:
    targets.SEEN.update(FAMILIES)
    return made[0]


@pytest.fixture
def server(made: tuple[Site, ApiServer]) -> ApiServer:
    return made[1]


def told(server: ApiServer, writer: ApiWriter, what: str) -> None:
    writer.report.told(f"{what}, through kube-apiserver {server.version}").served()


def test_an_api_server_writes_on_while_all_members_restart_in_turn(site: Site, server: ApiServer) -> None:
    process, begin = server.pid, time.time()
    site.settings["etcd_config"] = {"heartbeat-interval": 105}
    with ApiWriter(server) as writer:
        site.etcd("-y").succeeded()
    told(server, writer, "etcd.py, another heartbeat")
    spans = restarts(site, begin)
    assert sorted(span.name for span in spans) == [host.name for host in site.hosts], "each once"
    assert overlaps(spans) == []
    assert server.pid == process, "the API server needs no restart"
    site.etcd("-y").unchanged()


def test_an_api_server_writes_on_while_its_cluster_gets_new_authorities(
    site: Site, server: ApiServer
) -> None:
    old = Store(site.pki).load()
    with ApiWriter(server) as before:
        site.run("-y", READY, ROTATE).failed("clients of the inventory", server.host.name, CLIENTS)
        site.run("-y", CLIENTS).succeeded()
    told(server, before, "rotate_ca.py up to its clients, and clients.py")
    server.restart()  # it reads its own pair for each connection, and the authorities only at its start
    process = server.pid
    with ApiWriter(server) as after:
        site.run("-y", READY, ROTATE).succeeded()
        site.run("-y", CLIENTS).succeeded()
    told(server, after, "rotate_ca.py to its end, and clients.py")
    assert server.pid == process, "it needs no restart while the old authority is forgotten"
    server.restart()
    for writer in (before, after):
        writer.read_back()
        assert not writer.report.lost
    new = Store(site.pki).load()
    assert old
    assert new
    assert old.client.fingerprint != new.client.fingerprint
    assert server.host.read(f"{BUNDLE}/ca.pem").strip() == new.client.pem.strip()
    site.run("-y", READY, ROTATE).unchanged()
    site.etcd("-y").unchanged()


def test_an_api_server_writes_on_while_etcd_goes_to_the_next_minor_release(
    site: Site, server: ApiServer
) -> None:
    process = server.pid
    with ApiWriter(server) as writer:
        site.run("-y", f"--data=etcd_version={NEW}", "deploys/upgrade.py").succeeded()
    told(server, writer, f"upgrade.py, {OLD} to {NEW}")
    assert {site.status(host)["version"] for host in site.hosts} == {NEW}
    assert server.pid == process, "the API server needs no restart"
    site.settings["etcd_version"] = NEW
    site.run("-y", CLIENTS).succeeded()
    site.etcd("-y").unchanged()
