"""Whatever became of a cluster, a host that holds its data gives all of it, up to the last write that a client had its answer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_restore import number_of, restore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

MIXED = ("alpine", "debian", "centos")
# A process that the kernel ends writes nothing more; what it had not yet synced is gone with it.
KILL = "for one in /proc/[0-9]*; do case $(readlink $one/exe) in */etcd) kill -KILL ${one#/proc/} ;; esac; done; :"


def stop(host: Host) -> None:
    host.run({"systemd": "systemctl stop etcd", "openrc": "rc-service etcd stop"}[host.init], check=False)


def start(host: Host) -> None:
    host.run({"systemd": "systemctl start etcd", "openrc": "rc-service etcd start"}[host.init])


def killed_after(site: Site, host: Host, key: str) -> None:
    """Write a key, and kill the writer's etcd before anything more can reach its disk."""
    command = f". /etc/profile.d/etcdctl.sh; etcdctl put {key} acknowledged && {{ {KILL}; }}"
    said = host.run("sh", "-c", command).stdout
    assert "OK" in said


def keys(site: Site, host: Host) -> str:
    return site.etcdctl(host, "get", "", "--prefix", "--keys-only")


@pytest.mark.parametrize("version", ["3.5.34", pytest.param("3.7.3", marks=pytest.mark.long)])
def test_a_survivor_of_a_power_cut_gives_the_last_write_that_a_client_was_told_of(
    fresh: Callable[..., Site], version: str
) -> None:
    site = fresh(MIXED, settings={"etcd_version": version})
    site.etcd("-y").succeeded()
    survivor, *lost = site.hosts
    site.put(survivor, "early", "1")
    old = number_of(site)
    killed_after(site, survivor, "last")
    stop(survivor)
    for host in lost:
        stop(host)
        host.run("mv /var/lib/etcd/member /var/lib/etcd/lost")
        start_anyway = {"systemd": "systemctl start etcd", "openrc": "rc-service etcd start"}[host.init]
        host.run(start_anyway, check=False)
    # Its etcd runs again, and has no leader: it does not serve its client port.
    start(survivor)
    before = survivor.run("ls -R /var/lib/etcd/member/snap").stdout
    site.etcd("-y").refused(f"etcd_snapshot=from:{site.name(survivor)}")
    for host in lost:
        stop(host)
    outcome = restore(site, f"from:{survivor.name}", etcd_restore_over=old).succeeded()
    assert "revision" in outcome.text
    for host in site.hosts:
        assert site.get(host, "last") == "acknowledged"
        assert site.get(host, "early") == "1"
    aside = survivor.run("ls -R /var/lib/etcd/member.2*/snap").stdout
    assert before.split()[1:] == aside.split()[1:], "the data itself was only read"
    assert not survivor.run("ls -d /var/lib/etcd-snapshots/.drill.*", check=False).stdout
    site.etcd("-y").unchanged()


def test_a_value_that_ends_all_members_is_mended_by_correcting_it(fresh: Callable[..., Site]) -> None:
    site = fresh(MIXED)
    site.etcd("-y").succeeded()
    site.put(site.hosts[0], "kept", "yes")
    # As after a reboot with a file that somebody edited.
    for host in site.hosts:
        stop(host)
        host.run("echo 'log-level: warning' >>/etc/etcd/conf.yml")
        host.run(
            {"systemd": "systemctl start etcd", "openrc": "rc-service etcd start"}[host.init], check=False
        )
    site.etcd("-y").succeeded()
    for host in site.hosts:
        assert site.get(host, "kept") == "yes"
    site.etcd("-y").unchanged()


def test_data_of_an_etcd_that_crashes_on_start_is_given_and_the_furthest_host_is_named(
    fresh: Callable[..., Site],
) -> None:
    site = fresh(MIXED)
    site.etcd("-y").succeeded()
    first, behind, third = site.hosts
    old = number_of(site)
    stop(behind)
    site.put(first, "late", "yes")
    for host in (first, third):
        stop(host)
    # Its own etcd ends at once, whatever lies there.
    first.run("echo 'log-level: warning' >>/etc/etcd/conf.yml")
    third.run("mv /var/lib/etcd/member /var/lib/etcd/lost")
    consent = {"etcd_restore_over": old}
    restore(site, f"from:{behind.name}", **consent).refused(
        "a log that others go beyond",
        "(furthest)",
        f"etcd_snapshot=from:{site.name(first).rpartition('/')[2]}",
    )
    told = restore(site, f"from:{first.name}", **consent).succeeded()
    assert "(furthest)" in told.text
    for host in site.hosts:
        assert site.get(host, "late") == "yes"
    site.etcd("-y").unchanged()


def test_all_addresses_changed_at_once_and_no_snapshot_the_last_write_is_there_afterwards(
    fresh: Callable[..., Site],
) -> None:
    site = fresh(MIXED, settings={"etcd_version": "3.5.34"})
    site.etcd("-y").succeeded()
    first = site.hosts[0]
    site.put(first, "early", "1")
    old = number_of(site)
    killed_after(site, first, "last")
    for host in site.hosts:
        stop(host)
    for number, host in enumerate(site.hosts, 1):
        host.disconnect()
        host.address = f"{host.address.rpartition('.')[0]}.{100 + number}"
        host.connect()
        start_anyway = {"systemd": "systemctl start etcd", "openrc": "rc-service etcd start"}[host.init]
        host.run(start_anyway, check=False)
    refused = site.etcd("-y").refused("etcd_snapshot=from:").text
    assert "addresses" in refused
    outcome = restore(site, f"from:{first.name}", etcd_restore_over=old)
    if outcome.rc:
        # Others may be further: the run says who.
        further = next(
            one
            for one in site.hosts
            if f"etcd_snapshot=from:{site.name(one).rpartition('/')[2]}" in outcome.text
        )
        outcome = restore(site, f"from:{further.name}", etcd_restore_over=old)
    outcome.succeeded()
    for host in site.hosts:
        assert site.get(host, "last") == "acknowledged"
    site.etcd("-y").unchanged()
