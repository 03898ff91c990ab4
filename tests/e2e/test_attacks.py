"""Accounts of a host do their worst with names, locks, programs and links while verbs run: root is led nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = [pytest.mark.target, pytest.mark.long]

FAMILIES = ("alpine", "debian", "alpine")
# Folders whose content is nobody's business: the login's, and root's.
PRECIOUS = ("/home/deploy/precious", "/root/precious")
LIES = (
    "left 99999999 precious",
    "end",
    "etcd health no",
    "interface eth0 203.0.113.66",
    "lock t x 1 2 etcd now me",
)


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(fresh: Callable[..., Site]) -> Site:
    site = fresh(FAMILIES, "ssh", settings={"etcd_timeout": 60})
    site.etcd("-y").succeeded()
    for host in site.hosts:
        for folder in PRECIOUS:
            host.write(f"{folder}/file", "mine")
    return site


def untouched(host: Host) -> None:
    for folder in PRECIOUS:
        assert host.read(f"{folder}/file") == "mine"
        assert host.run("stat", "-c", "%U %a", f"{folder}/file").stdout == "root 644\n"


def test_a_local_account_without_rights_removes_stops_and_tells_nothing(site: Site) -> None:
    for host in site.hosts:
        for lie in LIES:
            host.run("mkdir", f"/var/tmp/etcd-steward.x\n{lie}", user="nobody")
            host.run("touch", "-t", "202001010000", f"/var/tmp/etcd-steward.x\n{lie}", user="nobody")
        program = f"cp /opt/etcd/{mirror.DEFAULT}/etcd /tmp/etcd && chmod 711 /tmp/etcd && cd /tmp && "
        urls = "http://127.0.0.1:5379", "http://127.0.0.1:5380"
        flags = (
            f"--data-dir /tmp/life --listen-client-urls {urls[0]} --advertise-client-urls {urls[0]} "
            f"--listen-peer-urls {urls[1]} --initial-advertise-peer-urls {urls[1]} --initial-cluster default={urls[1]}"
        )
        host.run(f"{program} {{ ./etcd {flags} >/dev/null 2>&1 & }}", user="nobody")
        host.run("{ flock /run sleep 900 >/dev/null 2>&1 & }", user="nobody")
    site.etcd("-y").unchanged()
    site.run("-y", "deploys/status.py").succeeded()
    site.run("-y", "deploys/backup.py").succeeded()
    site.run("-y", "deploys/drill.py").succeeded()
    site.settings["etcd_config"] = {"max-txn-ops": 256}
    site.etcd("-y").succeeded()
    for host in site.hosts:
        untouched(host)
        assert host.run("ls -d /var/tmp/etcd-steward.x* | wc -l").stdout.strip() != "0", (
            "they are nobody's of ours"
        )


def test_etcds_own_account_writes_over_nothing_of_roots(site: Site) -> None:
    second = site.hosts[1]
    victim = f"{PRECIOUS[1]}/file"
    for name in (".steward", ".restore", ".etcd-steward-fsync.aaaaaa"):
        second.run("ln", "-s", victim, f"/var/lib/etcd/{name}", user="etcd")
    second.run("ln", "-s", victim, "/run/etcd-steward/may-start-empty", user="etcd")
    second.run("systemctl stop etcd && mv /var/lib/etcd/member /root/lost-disk")
    site.etcd("-y", "--data=etcd_replace=n2").succeeded()
    untouched(second)
    site.etcd("-y").unchanged()
