"""A host that is no member gets a client's files, and they are proved from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.foretelling import foretold
from tests.e2e.watching import context_of, rejected
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
FOLDER = "/etc/app/etcd"


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(shared: Callable[..., Site]) -> Site:
    return shared(FAMILIES, "ssh")


@pytest.fixture
def app(site: Site) -> Host:
    if "app" not in site.clients:
        host = site.lab.start({"app": "alpine"})[0]
        host.run("addgroup -S app && adduser -S -G app app")
        site.add_client(
            host,
            etcd_client_dir=FOLDER,
            etcd_client_owner="app",
            etcd_client_group="app",
            etcd_client_name="app-1",
        )
    return site.clients["app"]


def shown(site: Site, app: Host, *words: str, user: str = "app", check: bool = True) -> str:
    """Run etcdctl on the client's host, as the client and with its files."""
    endpoints = ",".join(f"https://{site.address(host)}:2379" for host in site.hosts)
    tool = f"/opt/etcd/{site.settings['etcd_version']}/etcdctl"
    files = f"--cacert={FOLDER}/ca.pem --cert={FOLDER}/client.pem --key={FOLDER}/client-key.pem"
    command = f"ETCDCTL_API=3 {tool} --endpoints={endpoints} {files} {' '.join(words)}"
    return app.run("su", "-s", "/bin/sh", user, "-c", command, check=check).stdout


def test_a_client_host_gets_its_files_reads_and_writes_with_them_and_the_second_run_changes_nothing(
    site: Site, app: Host
) -> None:
    processes = site.processes()
    foretold(site, "clients")
    assert shown(site, app, "put", "from-the-client", "1") == "OK\n"
    assert site.get(site.hosts[0], "from-the-client") == "1"
    listing = app.run(f"cd {FOLDER} && stat -c '%a %U:%G %n' *").stdout.splitlines()
    assert listing == ["644 root:root ca.pem", "600 app:app client-key.pem", "644 root:root client.pem"]
    assert site.processes() == processes
    site.run("-y", "deploys/clients.py").unchanged()


def test_a_client_s_certificate_is_none_of_a_member(site: Site, app: Host) -> None:
    site.run("-y", "deploys/clients.py").succeeded()
    member = site.hosts[0]
    pair = app.read(f"{FOLDER}/client.pem") + app.read(f"{FOLDER}/client-key.pem")
    context = context_of(member.read("/etc/etcd/pki/peer-ca.pem"), pair)
    # A client may find the connection broken before it reads why: the member says so in its log.
    assert "unknown authority" in rejected(site, member, 2380, context)


def test_a_client_with_another_s_authority_is_mended_and_one_that_does_not_reach_a_member_fails(
    site: Site, app: Host
) -> None:
    site.run("-y", "deploys/clients.py").succeeded()
    app.run(f"cp {FOLDER}/client.pem {FOLDER}/ca.pem")
    site.run("-y", "deploys/clients.py").succeeded()
    assert shown(site, app, "get", "nothing") == ""
    away = site.hosts[2]
    away.run("systemctl stop etcd")
    try:
        endpoint = f"https://{site.address(away)}:2379"
        site.run("-y", "deploys/clients.py").failed("found endpoints that app-1 does not reach", endpoint)
    finally:
        away.run("systemctl start etcd")
    site.run("-y", "deploys/clients.py").unchanged()
    site.etcd("-y").unchanged()
