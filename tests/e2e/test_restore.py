"""Restores: onto the same hosts, after the loss of a majority, and onto new hosts; nothing is ever deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.faults import broken, others_serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.conftest import Kept
    from tests.e2e.steward import Outcome, Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

BUMP = 1_000_000_000
FAMILIES = ("alpine", "debian", "centos")


@pytest.fixture(scope="module")
def lent(_kept: Kept) -> Iterator[Site]:
    """Give a cluster that only this module uses, as its data is lost again and again."""
    site = _kept(FAMILIES, etcd_version="3.5.34", etcd_wal_dir="/var/lib/etcd-log")
    yield site
    _kept.release()


@pytest.fixture
def site(lent: Site) -> Site:
    """Give that cluster with some keys in it."""
    for number in range(12):
        lent.put(lent.hosts[0], f"k{number}", str(number))
    return lent


def keys_of(site: Site, host: Host) -> dict[str, str]:
    found = json.loads(site.etcdctl(host, "get", "", "--prefix", "-w", "json"))
    return {one["key"]: one.get("value", "") for one in found.get("kvs", ())}


def revision(site: Site, host: Host) -> int:
    return int(site.status(host)["header"]["revision"])


def number_of(site: Site) -> str:
    (number,) = site.cluster_ids()
    return f"{number:016x}"


def backup(site: Site) -> Path:
    site.run("-y", "deploys/backup.py").succeeded()
    return max((site.folder / "backups" / "etcd").glob("*.db"), key=lambda path: path.stat().st_mtime)


def restore(site: Site, snapshot: object, *flags: str, **settings: object) -> Outcome:
    data = [f"--data=etcd_snapshot={snapshot}", *(f"--data={key}={value}" for key, value in settings.items())]
    return site.run("-y", *flags, *data, "deploys/restore.py")


def stop_everywhere(site: Site) -> None:
    for host in site.hosts:
        host.run({"systemd": "systemctl stop etcd", "openrc": "rc-service etcd stop"}[host.init])


def aside(host: Host) -> list[str]:
    return host.run("cd /var/lib; ls -d etcd/member.* etcd-log/wal.*", check=False).stdout.split()


def test_f25_a_snapshot_comes_back_onto_the_same_hosts_and_its_revisions_jump(site: Site) -> None:
    first = site.hosts[0]
    before, at = keys_of(site, first), revision(site, first)
    snapshot = backup(site)
    site.put(first, "later", "lost")
    old = number_of(site)
    lying = {host.name: aside(host) for host in site.hosts}
    restore(site, snapshot.name).refused("a cluster that answers", "etcd_restore_over=ID")
    told = restore(site, snapshot.name, etcd_restore_over=f"0x{old}").succeeded().text
    assert "API servers and everything else that writes to this cluster must be stopped" in told
    assert f"{len(before)} keys at revision {at + BUMP}, as the manifest says" in told
    assert number_of(site) != old
    for host in site.hosts:
        assert keys_of(site, host) == before
        assert revision(site, host) > at + BUMP
        # The data folder, and the log on its own disk.
        assert len(set(aside(host)) - set(lying[host.name])) == 2
        assert not [name for name in aside(host) if ".new-" in name]
    # What a watcher saw last is compacted, so it is told to start afresh.
    watched = site.etcdctl(first, "get", "k1", f"--rev={at}", check=False)
    assert "required revision has been compacted" in watched
    again = restore(site, snapshot.name).unchanged()
    assert f"restored from {snapshot.name} already" in " ".join(again.text.split())
    site.etcd("-y").unchanged()


@pytest.mark.long
def test_a_host_that_fails_stops_the_restore_and_the_same_command_finishes_it(site: Site) -> None:
    first, failing, last = site.hosts
    before = keys_of(site, first)
    snapshot, old = backup(site), number_of(site)
    processes = site.processes()
    last.run("mv /var/tmp /var/tmp.aside && touch /var/tmp")
    try:
        outcome = restore(site, snapshot, etcd_restore_over=f"0x{old}")
    finally:
        last.run("rm /var/tmp && mv /var/tmp.aside /var/tmp")
    outcome.failed("found no temporary folder", f"not stopped: {site.name(last)} failed in this run")
    assert (site.processes(), number_of(site)) == (processes, old), "before all is staged nobody is stopped"
    with broken(site, failing, seconds=25):
        outcome = restore(site, snapshot, etcd_restore_over=f"0x{old}")
        outcome.failed(
            f"found {failing.name} not healthy after 25 s",
            f"not compared: {site.name(failing)} failed in this run",
        )
        others_serve(site, failing)
    restore(site, snapshot, etcd_restore_over=f"0x{old}").succeeded()
    assert number_of(site) != old
    for host in site.hosts:
        assert keys_of(site, host).items() >= before.items()
    site.etcd("-y").unchanged()


def test_members_that_are_held_up_or_stopped_with_their_data_are_restored_over_only_by_their_clusters_id(
    site: Site,
) -> None:
    """A machine that is held up for a while, and one whose services are stopped, have lost nothing."""
    snapshot = backup(site)
    site.put(site.hosts[0], "later", "kept")
    number = number_of(site)
    lying = {host.name: aside(host) for host in site.hosts}
    for host in site.hosts:
        host.run(f"kill -STOP {site.pid(host)}")
    try:
        restore(site, snapshot.name).refused("no way to tell whether a quorum serves", number)
        site.run("-y", "deploys/remove.py", f"--data=etcd_member={site.hosts[2].name}").refused(
            "no quorum that answers"
        )
    finally:
        for host in site.hosts:
            host.run(f"kill -CONT {site.pid(host)}")
    stop_everywhere(site)
    restore(site, snapshot.name).refused(
        f"data of cluster {number} on 3 of 3 hosts", f"etcd_restore_over={number}"
    )
    site.etcd("-y").succeeded()
    assert site.get(site.hosts[0], "later") == "kept"
    assert {host.name: aside(host) for host in site.hosts} == lying


def test_after_the_loss_of_two_of_three_disks_the_survivor_gives_what_nobody_backed_up(site: Site) -> None:
    survivor, *lost = site.hosts
    backup(site)
    site.put(survivor, "newest", "only here")
    before = keys_of(site, survivor)
    for host in lost:
        host.run(
            "systemctl stop etcd && mkdir /root/lost && mv /var/lib/etcd/member /var/lib/etcd-log/wal /root/lost"
        )
    try:
        site.etcd("-y").refused("deploys/restore.py")
        restore(site, f"from:{lost[0].name}").refused("no whole data")
        outcome = restore(site, f"from:{survivor.name}").succeeded()
    finally:
        for host in lost:
            host.run("rm -rf /root/lost")
    assert f"no data lies on {site.name(lost[0])}" in " ".join(outcome.text.split())
    for host in site.hosts:
        assert keys_of(site, host) == before
    restore(site, f"from:{survivor.name}").unchanged()
    site.etcd("-y").unchanged()


@pytest.mark.long
def test_a_snapshot_makes_the_cluster_on_three_new_hosts_once_the_old_ones_surely_run_nowhere(
    site: Site, fresh: Callable[..., Site]
) -> None:
    before = keys_of(site, site.hosts[0])
    snapshot = backup(site)
    moved = fresh(("debian", "centos", "centos"), settings={"etcd_version": "3.5.34"})
    (moved.folder / "pki").symlink_to(site.folder / "pki")
    restore(moved, snapshot).refused("the known member n1", "etcd_restore_without=n1,n2,n3")
    stop_everywhere(site)
    restore(moved, snapshot, etcd_restore_without="n1,n2,n3").succeeded()
    for host in moved.hosts:
        assert keys_of(moved, host) == before
    moved.etcd("-y").unchanged()
