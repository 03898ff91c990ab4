"""A member leaves by its name, id or peer URL; the others never notice, and nothing is deleted on its host."""

from __future__ import annotations

import functools
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import make_site
from tests.e2e.writer import Writer
from tests.targets import hosts as targets
from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.e2e.steward import Outcome, Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

MIXED = ("alpine", "debian", "centos")
ALPINE = ("alpine",) * 3


@pytest.fixture(scope="module")
def _lent(
    docker_answers: None, mirror_url: str, cache: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Sequence[str], str], Site]]:
    """Give a function that lends the clusters that the tests of this module shrink."""
    with ExitStack() as stack:

        @functools.cache
        def lend(families: Sequence[str], connector: str) -> Site:
            folder = tmp_path_factory.mktemp("leaving")
            site = make_site(stack, families, connector, mirror_url, cache, folder, {})
            site.etcd("-y").succeeded()
            return site

        yield lend


@pytest.fixture(params=["+".join(map(title, MIXED))])
def mixed(_lent: Callable[[Sequence[str], str], Site]) -> Site:
    targets.SEEN.update(MIXED)
    return _lent(MIXED, "docker")


@pytest.fixture(params=["+".join(map(title, ALPINE))])
def alpine(_lent: Callable[[Sequence[str], str], Site]) -> Site:
    """Give three members; one that an earlier test took out joins again."""
    targets.SEEN.update(ALPINE)
    site = _lent(ALPINE, "ssh")
    site.hosts = list(site.lab.hosts.values())
    site.etcd("-y").succeeded()
    assert set(listed(site, site.hosts[0])) == {host.name for host in site.hosts}
    return site


def remove(site: Site, member: str, *flags: str) -> Outcome:
    return site.run("-y", f"--data=etcd_member={member}", *flags, "deploys/remove.py")


def listed(site: Site, host: Host) -> dict[str, str]:
    """Ask one member for the list: names and ids."""
    lines = site.etcdctl(host, "member", "list", "-w", "simple").splitlines()
    return {line.split(", ")[2]: line.split(", ")[0] for line in lines}


def leader(site: Site) -> Host:
    found = site.status(site.hosts[0])["leader"]
    return next(host for host in site.hosts if site.status(host)["header"]["member_id"] == found)


def scheduled(host: Host) -> list[str]:
    """List what starts at boot or by the clock on a host."""
    command = {
        "systemd": "systemctl is-enabled etcd | grep -x enabled; systemctl list-timers --all | grep -o etcd-snapshot.timer",
        "openrc": "rc-update show default | grep -ow etcd; grep -o 'etcd-snapshot$' /etc/crontabs/root",
    }
    return host.run(command[host.init], check=False).stdout.split()


def lying_aside(host: Host) -> list[str]:
    return host.run(
        "ls -d /var/lib/etcd/*Z-* /etc/etcd/*Z-* /etc/etcd-steward/*Z-*", check=False
    ).stdout.split()


def is_at_rest(site: Site, host: Host, before: Sequence[str] = ()) -> None:
    """Fail unless nothing of the member runs or starts again, and all that it had lies aside, beside what lay there."""
    assert site.pid(host) == 0
    assert scheduled(host) == []
    found = sorted(set(lying_aside(host)) - set(before))
    for path in ("/var/lib/etcd/member", "/etc/etcd/conf.yml", "/etc/etcd-steward/etcd.json"):
        assert not host.exists(path)
        stamped = [entry for entry in found if re.fullmatch(rf"{path}\.[0-9]{{8}}T[0-9]{{6}}Z-[0-9]+", entry)]
        assert len(stamped) == 1, f"{path} lies aside once: {found}"


@pytest.mark.long
def test_a_cluster_is_ended_by_its_id_and_a_new_one_can_be_made(mixed: Site) -> None:
    (number,) = mixed.cluster_ids()
    processes = mixed.processes()
    assert [len(scheduled(host)) for host in mixed.hosts] == [2, 2, 2], "it starts at boot, and its snapshots"
    for typed in ([], ["--data=etcd_reset=00000000000000aa"]):
        outcome = mixed.run("-y", *typed, "deploys/reset.py").refused(
            "look at the first line of deploys/status.py"
        )
        assert f"{number:016x}" not in outcome.text
    told = f"--data=etcd_reset=0x{number:016x}"
    mixed.run("-y", told, f"--limit={mixed.name(mixed.hosts[0])}", "deploys/reset.py").refused(
        "left out by --limit"
    )
    assert mixed.processes() == processes

    mixed.run("-y", told, "deploys/reset.py").succeeded()
    for host in mixed.hosts:
        is_at_rest(mixed, host)
        assert not host.exists("/etc/etcd/pki")
        assert host.run("ls -d /etc/etcd/pki.*").returncode == 0
    assert not (mixed.pki / "cluster.json").exists()
    assert (mixed.pki / f"cluster.{number:016x}.json").exists()
    mixed.run("-y", told, "deploys/reset.py").unchanged()

    authority = (mixed.pki / "ca.pem").read_text()
    mixed.etcd("-y").succeeded()
    assert mixed.cluster_ids() != {number}
    assert (mixed.pki / "ca.pem").read_text() == authority


def test_the_leader_leaves_without_a_lost_write_and_a_second_run_finds_it_gone(mixed: Site) -> None:
    left = leader(mixed)
    others = [host for host in mixed.hosts if host is not left]
    before = lying_aside(left)
    with Writer(mixed, through=others) as writer:
        outcome = remove(mixed, left.name).succeeded()
    writer.report.served().told("remove.py of the leader, 3 to 2 members")
    assert "voters 3 -> 2, quorum 2 -> 2, healthy 3 -> 2" in outcome.text
    assert "leadership moved to" in outcome.text
    assert set(listed(mixed, others[0])) == {host.name for host in others}
    is_at_rest(mixed, left, before)

    again = remove(mixed, left.name).unchanged()
    assert f"{left.name} is already gone" in again.text

    mixed.hosts = others
    mixed.settings["etcd_allow_even"] = True
    remove(mixed, left.name).unchanged()
    mixed.etcd("-y").succeeded()
    mixed.etcd("-y").unchanged()
    mixed.run("-y", "deploys/status.py").succeeded()
    remove(mixed, others[0].name).refused(
        "2 voters, of which one would be left (voters 2 -> 1, quorum 2 -> 1, healthy 2 -> 1)",
        "set etcd_allow_outage = True",
    )


@pytest.mark.long
def test_what_is_unclear_or_dangerous_is_refused_and_an_interrupted_removal_is_finished(alpine: Site) -> None:
    first, second, third = alpine.hosts
    remove(alpine, "n").refused("found no member n, wanted one of n1 (")
    remove(alpine, f"https://{third.address}").refused(f"found no member https://{third.address}")
    alpine.run("-y", "deploys/remove.py").refused("found no etcd_member", "add --data etcd_member=NAME")
    remove(alpine, third.name, f"--exclude={third.name}").refused("left out by --limit or --exclude")
    second.run("rc-service etcd stop")
    remove(alpine, third.name).refused(
        "other voters down (voters 3 -> 2, quorum 2 -> 2, healthy 2 -> 1)",
        "wanted all others healthy while a healthy member leaves",
    )
    second.run("rc-service etcd start")
    number = listed(alpine, first)[third.name]
    # etcd wants every member connected for five seconds before it changes the list.
    wait_until(
        "etcd removes a member",
        lambda: "removed" in alpine.etcdctl(first, "member", "remove", number, check=False),
        30,
    )
    assert third.exists("/var/lib/etcd/member")
    remove(alpine, third.name).succeeded()
    is_at_rest(alpine, third)
    assert set(listed(alpine, first)) == {first.name, second.name}


@pytest.mark.long
def test_a_dead_host_leaves_and_is_brought_to_rest_when_it_is_back(alpine: Site) -> None:
    first, second, dead = alpine.hosts
    number, before = listed(alpine, first)[dead.name], lying_aside(dead)
    dead.kill()
    assert remove(alpine, number).failed().rc, "without --exclude pyinfra's own exit status tells of the host"
    assert set(listed(alpine, first)) == {first.name, second.name}
    outcome = remove(alpine, dead.name, f"--exclude={dead.name}").unchanged()
    assert "already gone" in outcome.text
    dead.start()
    assert alpine.pid(dead) != 0 or dead.exists("/var/lib/etcd/member")
    remove(alpine, f"https://{dead.address}:2380").succeeded()
    is_at_rest(alpine, dead, before)


@pytest.mark.long
def test_a_host_that_is_no_longer_in_the_inventory_leaves_by_its_id(alpine: Site) -> None:
    *others, lost = alpine.hosts
    number = listed(alpine, lost)[lost.name]
    lost.kill()
    alpine.hosts = others
    alpine.settings["etcd_allow_even"] = True
    remove(alpine, f"0x{number}").succeeded()
    assert set(listed(alpine, others[0])) == {host.name for host in others}
    remove(alpine, lost.name).unchanged()
