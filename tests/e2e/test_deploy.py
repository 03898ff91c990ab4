"""Empty hosts become one cluster, on every system and by every way in; a second run finds nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import MOST_FILES
from tests.targets import mirror
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Kept
    from tests.e2e.steward import Site

pytestmark = pytest.mark.target

CLUSTERS = {
    "mixed": (("alpine", "ubuntu", "centos"), "docker"),
    "alpine": (("alpine",) * 3, "ssh"),
    "alpine with doas": (("alpine",) * 3, "doas"),
    "alpine-arm64": (("alpine-arm64",) * 3, "docker"),
    "debian": (("debian",) * 3, "ssh"),
    "ubuntu": (("ubuntu",) * 3, "ssh"),
    "centos": (("centos",) * 3, "ssh"),
}
# Emulated hosts are as slow as small computers: like there, the timers are longer. They do nothing by themselves while they
# are looked at; schedules have tests of their own.
SLOW = {
    "etcd_timeout": 300,
    "etcd_config": {"heartbeat-interval": 500, "election-timeout": 5000},
    "etcd_snapshots": False,
}
BUDGET = {"-y": 2, "prompt": 3, "--dry": 1}
FOR_THE_CLUSTER = 2


def _id(name: str) -> str:
    families, way = CLUSTERS[name]
    return f"{'+'.join(title(family) for family in dict.fromkeys(families))} by {way}"


@pytest.fixture(scope="module", autouse=True)
def _all_removed(_kept: Kept) -> Iterator[None]:
    """Remove these many clusters in the end: the tests that follow need the machine."""
    yield
    _kept.release()


@pytest.fixture(params=list(CLUSTERS), ids=_id)
def site(request: pytest.FixtureRequest, shared: Callable[..., Site]) -> Site:
    return shared(*CLUSTERS[request.param], **(SLOW if "arm64" in request.param else {}))


# One for each connector: what these promise does not depend on the system, and emulated hosts are slow.
@pytest.fixture(params=["mixed", "ubuntu"], ids=_id)
def either(request: pytest.FixtureRequest, shared: Callable[..., Site]) -> Site:
    return shared(*CLUSTERS[request.param])


def test_empty_hosts_become_one_healthy_cluster(site: Site) -> None:
    assert len(site.cluster_ids()) == 1
    first, *_, last = site.hosts
    listed = site.etcdctl(last, "member", "list", "-w", "simple").splitlines()
    assert sorted(line.split(", ")[2] for line in listed) == [host.name for host in site.hosts]
    assert {line.split(", ")[1] for line in listed} == {"started"}
    assert {line.split(", ")[5] for line in listed} == {"false"}, "found a learner, wanted voters only"
    site.put(first, "greeting", "hello")
    assert {site.get(host, "greeting") for host in site.hosts} == {"hello"}
    assert site.etcdctl(first, "get", "etcd-steward", "--prefix", "--keys-only") == "", (
        "the gate's key is left"
    )


def test_every_member_runs_the_wanted_release_as_user_etcd_and_starts_at_boot(site: Site) -> None:
    for host in site.hosts:
        assert site.status(host)["version"] == site.settings["etcd_version"]
        pid = site.pid(host)
        assert host.run(f"stat -c %U /proc/{pid}").stdout.strip() == "etcd"
        enabled = {"systemd": "systemctl is-enabled etcd", "openrc": "rc-update show default | grep -w etcd"}
        assert host.run(enabled[host.init], check=False).returncode == 0
        limit = host.run(f"grep 'Max open files' /proc/{pid}/limits").stdout.split()[3]
        assert int(limit) == MOST_FILES


def test_alpine_runs_the_static_release_without_any_file_of_glibc(site: Site) -> None:
    for host in site.hosts:
        if host.family.startswith("alpine"):
            assert (
                host.run("ls /lib64 /lib/*-linux-gnu* /lib/ld-linux* 2>/dev/null", check=False).stdout == ""
            )
            assert host.exists(f"/opt/etcd/{mirror.DEFAULT}/etcd")


def test_a_second_run_changes_nothing(site: Site) -> None:
    before = {host.name: site.footprint(host) for host in site.hosts}, site.processes()
    outcome = site.etcd("-y").unchanged()
    assert outcome.verdicts["No changes"] >= len(site.hosts)
    assert ({host.name: site.footprint(host) for host in site.hosts}, site.processes()) == before


def test_an_inventory_in_another_order_changes_nothing(either: Site) -> None:
    either.hosts.reverse()
    try:
        either.etcd("-y").unchanged()
    finally:
        either.hosts.reverse()


@pytest.mark.parametrize("mode", BUDGET)
def test_a_converged_cluster_costs_no_more_commands_than_promised(either: Site, mode: str) -> None:
    flags = {"-y": ["-y"], "prompt": [], "--dry": ["-y", "--dry"]}[mode]
    outcome = either.etcd("-vv", *flags, input="\n" if mode == "prompt" else None).succeeded()
    assert set(outcome.commands) == {either.name(host) for host in either.hosts}, "the commands were not told"
    beyond = sum(max(0, count - BUDGET[mode]) for count in outcome.commands.values())
    assert beyond <= FOR_THE_CLUSTER, outcome.commands
