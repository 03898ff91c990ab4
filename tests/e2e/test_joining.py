"""Members come, are replaced and move, one at a time, while clients write."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from etcd_steward.commands import MAY_START_EMPTY
from tests.e2e.writer import Writer
from tests.targets.common import wait_until
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos", "ubuntu", "alpine")


@pytest.fixture(params=["+".join(map(title, FAMILIES))])
def site(fresh: Callable[..., Site]) -> Site:
    return fresh(FAMILIES)


def members(site: Site, host: Host) -> dict[str, dict[str, object]]:
    listed = json.loads(site.etcdctl(host, "member", "list", "-w", "json"))["members"]
    return {str(one.get("name")): one for one in listed}


def test_f07_f09_a_cluster_grows_from_one_to_five_loses_a_disk_and_shrinks_without_losing_a_write(
    site: Site,
) -> None:
    everybody = site.hosts
    first, second, third = everybody[:3]
    site.hosts = everybody[:1]
    site.etcd("-y").succeeded()
    with Writer(site) as writer:
        site.hosts = everybody[:3]
        outcome = site.etcd("-y").succeeded()
        assert "n2 joins as a learner, which changes neither" in outcome.text
        site.etcd("-y").unchanged()
        # Somebody's join was cut off between the admission and the first start.
        url = f"--peer-urls=https://{everybody[3].address}:2380"
        admission = ("member", "add", "n4", "--learner", url)
        wait_until(
            "admission of n4",
            # 3.6 and later say "added as learner to cluster".
            lambda: re.search(" added .*to cluster ", site.etcdctl(first, *admission, check=False)),
            30,
        )
        site.hosts = everybody
        outcome = site.etcd("-y").succeeded()
        assert "Finish n4" in outcome.text
    writer.report.served().told("etcd.py, growing from 1 to 3 to 5 members")
    listed = members(site, first)
    assert sorted(listed) == ["n1", "n2", "n3", "n4", "n5"]
    assert not any(one.get("isLearner") for one in listed.values())
    site.etcd("-y").unchanged()

    before = listed["n2"]["ID"]
    second.run("systemctl stop etcd && mv /var/lib/etcd/member /root/lost-disk")
    site.etcd("-y").refused("though the cluster knows this member", "etcd_replace=n2")
    with Writer(site) as writer:
        outcome = site.etcd("-y", "--data=etcd_replace=n2").succeeded()
    writer.report.served().told("etcd.py, replacing a member whose disk was lost")
    assert "is removed, then joins anew" in outcome.text
    assert not any(host.exists(MAY_START_EMPTY) for host in everybody), "the consent ends with the join"
    assert members(site, third)["n2"]["ID"] != before
    assert len(site.cluster_ids()) == 1
    site.etcd("-y").unchanged()

    for host, start in ((third, "systemctl start --no-block etcd"), (everybody[4], "rc-service etcd start")):
        before = members(site, first)[host.name]["ID"]
        host.run(f"{start.replace(' --no-block', '').replace('start', 'stop')}")
        host.run("dd if=/dev/urandom of=/var/lib/etcd/member/snap/db bs=4096 count=8 conv=notrunc")
        host.run(f"{start}; :")
        with Writer(site, through=[first, second]) as writer:
            site.etcd("-y", f"--data=etcd_replace={host.name}").succeeded()
        writer.report.served().told("etcd.py, replacing a member that crashes on its data")
        assert members(site, first)[host.name]["ID"] != before
        assert host.run("ls -d /var/lib/etcd/member.*").stdout.split(), "nothing is deleted"
        site.etcd("-y", f"--data=etcd_replace={host.name}").refused("which is healthy and has its data")

    with Writer(site, through=everybody[:3]) as writer:
        for name in ("n5", "n4"):
            site.run("-y", f"--data=etcd_member={name}", "deploys/remove.py").succeeded()
    # An inventory of four would be refused, so the two leave it together.
    site.hosts = everybody[:3]
    writer.report.served().told("remove.py, shrinking from 5 to 3 members")
    assert sorted(members(site, first)) == ["n1", "n2", "n3"]
    before = site.processes()
    site.etcd("-y").succeeded()  # the list in the configurations, which no running process reads
    site.etcd("-y").unchanged()
    assert site.processes() == before


def test_f10_a_member_moves_to_another_address_and_f06_a_clone_of_it_never_does(site: Site) -> None:
    site.hosts = site.hosts[:3]
    site.etcd("-y").succeeded()
    second = site.hosts[1]
    before = members(site, second)["n2"]
    site.put(second, "kept", "yes")
    site.own["n2"]["etcd_address"] = "n2"  # a DNS name in place of the address
    outcome = site.etcd("-y").succeeded()
    assert "Move n2" in outcome.text
    after = members(site, site.hosts[0])["n2"]
    assert after["ID"] == before["ID"]
    assert after["peerURLs"] == ["https://n2:2380"]
    assert site.get(site.hosts[2], "kept") == "yes"
    site.etcd("-y").unchanged()
