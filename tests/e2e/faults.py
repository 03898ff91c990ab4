"""Faults of one host in the middle of a run, and how the others are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from etcd_steward.locking import FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

# pyinfra's own ways through the hosts.
MODES = {"": (), "--serial": ("--serial",), "--no-wait": ("--no-wait",)}

CANNOT_START = "[Service]\nExecStartPre=/bin/false"
CANNOT_STOP = "[Unit]\nRefuseManualStop=yes"


@contextmanager
def broken(site: Site, host: Host, lines: str = CANNOT_START, *, seconds: int = 10) -> Iterator[None]:
    """Let a host's service neither start nor, with other lines, stop; what runs goes on.

    Args:
        site: the cluster.
        host: the one that fails; it has systemd.
        lines: a part of its service's definition.
        seconds: how long members are awaited meanwhile: in vain for this one, and long enough for the others.
    """
    place = "/run/systemd/system/etcd.service.d"
    host.run(f"mkdir -p {place}")
    host.write(f"{place}/broken.conf", f"{lines}\n")
    host.run("systemctl daemon-reload")
    patience = site.settings.get("etcd_timeout")
    site.settings["etcd_timeout"] = seconds
    try:
        yield
    finally:
        host.run(f"rm {place}/broken.conf; systemctl daemon-reload")
        site.settings["etcd_timeout"] = patience


def others_serve(site: Site, failing: Host) -> None:
    """Fail unless every other member takes a write, and no lock is left."""
    for host in site.hosts:
        if host is not failing:
            site.put(host, "written", f"while {failing.name} is down")
        assert not host.exists(FILE), "the lock is given back after a failure"


def leads(site: Site, host: Host) -> None:
    """Let a member lead, so that it has the last turn."""
    by_id = {site.status(one)["header"]["member_id"]: one for one in site.hosts}
    leader = by_id[site.status(host)["leader"]]
    if leader is not host:
        site.etcdctl(leader, "move-leader", f"{site.status(host)['header']['member_id']:x}")
