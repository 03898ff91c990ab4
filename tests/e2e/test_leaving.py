"""A member leaves by its name, id or peer URL; the others never notice, and nothing is deleted on its host."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.writer import Writer
from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Outcome, Site
    from tests.targets.hosts import Host

pytestmark = [pytest.mark.target, pytest.mark.daytwo]

MIXED = ("alpine", "debian", "centos")
ALPINE = ("alpine",) * 3


def remove(site: Site, member: str, *flags: str) -> Outcome:
    return site.run("-y", f"--data=etcd_member={member}", *flags, "deploys/remove.py")


def listed(site: Site, host: Host) -> dict[str, str]:
    """Ask one member for the list: names and ids."""
    lines = site.etcdctl(host, "member", "list", "-w", "simple").splitlines()
    return {line.split(", ")[2]: line.split(", ")[0] for line in lines}


def leader(site: Site) -> Host:
    found = site.status(site.hosts[0])["leader"]
    return next(host for host in site.hosts if site.status(host)["header"]["member_id"] == found)


def is_at_rest(site: Site, host: Host) -> None:
    """Fail unless nothing of the member runs or starts at boot, and all it had lies aside."""
    assert site.pid(host) == 0
    enabled = {
        "systemd": "systemctl is-enabled etcd etcd-snapshot.timer | grep -x enabled",
        "openrc": "rc-update show default | grep -w etcd; grep etcd /etc/crontabs/root",
    }
    assert host.run(enabled[host.init], check=False).stdout == ""
    found = host.run("ls /var/lib/etcd /etc/etcd /etc/etcd-steward").stdout.split()
    for name in ("member", "conf.yml", "etcd.json"):
        assert name not in found
        stamped = [entry for entry in found if re.fullmatch(rf"{name}\.[0-9]{{8}}T[0-9]{{6}}Z-1", entry)]
        assert len(stamped) == 1, f"{name} lies aside once: {found}"


@pytest.mark.parametrize("families", [MIXED], ids=["+".join(map(title, MIXED))])
def test_the_leader_leaves_without_a_lost_write_and_a_second_run_finds_it_gone(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families)
    site.etcd("-y").succeeded()
    left = leader(site)
    others = [host for host in site.hosts if host is not left]
    with Writer(site, through=others) as writer:
        outcome = remove(site, left.name).succeeded()
    writer.report.nothing_lost().told("remove.py of the leader, 3 to 2 members")
    assert "voters 3 -> 2, quorum 2 -> 2, healthy 3 -> 2" in outcome.text
    assert "leadership moved to" in outcome.text
    assert set(listed(site, others[0])) == {host.name for host in others}
    is_at_rest(site, left)

    again = remove(site, left.name).unchanged()
    assert f"{left.name} is already gone" in again.text
    is_at_rest(site, left)

    site.hosts = others
    site.settings["etcd_allow_even"] = True
    remove(site, left.name).unchanged()
    site.etcd("-y").succeeded()
    site.etcd("-y").unchanged()
    site.run("-y", "deploys/status.py").succeeded()
    remove(site, others[0].name).refused(
        "2 voters, of which one would be left (voters 2 -> 1, quorum 2 -> 1, healthy 2 -> 1)",
        "set etcd_allow_outage = True",
    )


@pytest.mark.parametrize("families", [ALPINE], ids=[title("alpine")])
def test_a_dead_host_leaves_and_is_brought_to_rest_when_it_is_back(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, "ssh")
    site.etcd("-y").succeeded()
    first, second, dead = site.hosts
    number = listed(site, first)[dead.name]
    dead.kill()
    assert remove(site, number).failed().rc, "without --exclude pyinfra's own exit status tells of the host"
    assert set(listed(site, first)) == {first.name, second.name}
    outcome = remove(site, f"0x{number}", f"--exclude={dead.name}").unchanged()
    assert "already gone" in outcome.text
    dead.start()
    assert site.pid(dead) != 0 or dead.exists("/var/lib/etcd/member")
    remove(site, f"https://{dead.address}:2380").succeeded()
    is_at_rest(site, dead)


@pytest.mark.parametrize("families", [ALPINE], ids=[title("alpine")])
def test_a_host_that_is_no_longer_in_the_inventory_leaves_by_its_id(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, "ssh")
    site.etcd("-y").succeeded()
    *others, lost = site.hosts
    number = listed(site, lost)[lost.name]
    lost.kill()
    site.hosts = others
    site.settings["etcd_allow_even"] = True
    remove(site, f"0x{number}").succeeded()
    assert set(listed(site, others[0])) == {host.name for host in others}
    remove(site, lost.name).unchanged()


@pytest.mark.parametrize("families", [ALPINE], ids=[title("alpine")])
def test_what_is_unclear_or_dangerous_is_refused_and_an_interrupted_removal_is_finished(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, "ssh")
    site.etcd("-y").succeeded()
    first, second, third = site.hosts
    remove(site, "n").refused("found no member n, wanted one of n1 (")
    remove(site, f"https://{third.address}").refused(f"found no member https://{third.address}")
    site.run("-y", "deploys/remove.py").refused("found no etcd_member", "add --data etcd_member=NAME")
    remove(site, third.name, f"--exclude={third.name}").refused("left out by --limit or --exclude")
    second.run("rc-service etcd stop")
    remove(site, third.name).refused(
        "other voters down (voters 3 -> 2, quorum 2 -> 2, healthy 2 -> 1)",
        "wanted all others healthy while a healthy member leaves",
    )
    second.run("rc-service etcd start")
    assert len(listed(site, first)) == 3

    site.etcd("-y").succeeded()
    number = listed(site, first)[third.name]
    # etcd wants every member connected for five seconds before it changes the list.
    wait_until(
        "etcd removes a member",
        lambda: "removed" in site.etcdctl(first, "member", "remove", number, check=False),
        30,
    )
    assert third.exists("/var/lib/etcd/member")
    remove(site, third.name).succeeded()
    is_at_rest(site, third)
    assert set(listed(site, first)) == {first.name, second.name}


@pytest.mark.parametrize("families", [MIXED], ids=["+".join(map(title, MIXED))])
def test_a_cluster_is_ended_by_its_id_and_a_new_one_can_be_made(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families)
    site.etcd("-y").succeeded()
    (number,) = site.cluster_ids()
    processes = site.processes()
    for typed in ([], ["--data=etcd_reset=00000000000000aa"]):
        outcome = site.run("-y", *typed, "deploys/reset.py").refused(
            "look at the first line of deploys/status.py"
        )
        assert f"{number:016x}" not in outcome.text
    told = f"--data=etcd_reset=0x{number:016x}"
    site.run("-y", told, f"--limit={site.name(site.hosts[0])}", "deploys/reset.py").refused(
        "left out by --limit"
    )
    assert site.processes() == processes

    site.run("-y", told, "deploys/reset.py").succeeded()
    for host in site.hosts:
        is_at_rest(site, host)
        assert not host.exists("/etc/etcd/pki")
        assert host.run("ls -d /etc/etcd/pki.*").returncode == 0
    assert not (site.pki / "cluster.json").exists()
    assert (site.pki / f"cluster.{number:016x}.json").exists()
    site.run("-y", told, "deploys/reset.py").unchanged()

    authority = (site.pki / "ca.pem").read_text()
    site.etcd("-y").succeeded()
    assert site.cluster_ids() != {number}
    assert (site.pki / "ca.pem").read_text() == authority
