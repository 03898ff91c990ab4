"""A disk that is full in a turn: whoever ran goes on running, and with room again the same command finishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.writer import Writer
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
SMALL = ("--tmpfs", "/etc/etcd:size=512k,mode=755")


def fill(host: Host) -> None:
    """Leave no byte on the disk of the configuration."""
    host.run(
        "dd if=/dev/zero of=/etc/etcd/.fill bs=1k 2>/dev/null; dd if=/dev/zero of=/etc/etcd/.rest bs=1 2>/dev/null; :"
    )
    assert host.run("echo 1 >/etc/etcd/.more", check=False).returncode != 0


def empty(host: Host) -> None:
    host.run("rm -f /etc/etcd/.fill /etc/etcd/.rest /etc/etcd/.more")


@pytest.mark.parametrize("families", [FAMILIES], ids=["+".join(map(title, FAMILIES))])
def test_d8_with_a_full_disk_below_its_configuration_no_member_is_stopped(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, extra_args=SMALL)
    site.etcd("-y").succeeded()
    running = {host.name: site.pid(host) for host in site.hosts}
    for host in site.hosts:
        fill(host)
    site.settings["etcd_config"] = {"heartbeat-interval": 150, "election-timeout": 1500}
    with Writer(site) as writer:
        outcome = site.etcd("-y")
    assert outcome.rc not in {0, None}
    assert any(site.name(host) in outcome.text for host in site.hosts)
    assert {host.name: site.pid(host) for host in site.hosts} == running
    writer.report.served().told("etcd.py, with a full disk below the configuration of every member")
    for host in site.hosts:
        empty(host)
    site.etcd("-y").succeeded()
    site.etcd("-y").unchanged()
