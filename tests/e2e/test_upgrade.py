"""An upgrade goes one minor version and one member at a time, stops where it does harm, and loses no write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.writer import Writer
from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.steward import Outcome, Site
    from tests.targets.hosts import Host

pytestmark = [pytest.mark.target, pytest.mark.daytwo]

# The releases for the long way need glibc; 3.5.0 and 3.5.1 are static.
LONG = ("debian", "ubuntu", "centos")
SHORT = ("alpine", "debian", "centos")


# The writer needs etcd's JSON gateway, which 3.4 switches off where it reads a configuration file.
OLD = {"etcd_version": "3.4.23", "etcd_config": {"enable-grpc-gateway": True}}


def upgrade(site: Site, version: str, *flags: str) -> Outcome:
    return site.run("-y", f"--data=etcd_version={version}", *flags, "deploys/upgrade.py")


def running(site: Site) -> dict[str, str]:
    return {host.name: site.status(host)["version"] for host in site.hosts}


def turns(site: Site) -> list[Host]:
    """Say in which order healthy members get their turn."""
    leader = site.status(site.hosts[0])["leader"]
    return sorted(
        site.hosts, key=lambda host: (site.status(host)["header"]["member_id"] == leader, host.name)
    )


@pytest.mark.parametrize("families", [LONG], ids=["+".join(map(title, LONG))])
def test_a_cluster_climbs_from_3_4_to_3_5_without_losing_a_write(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, settings=OLD)
    site.etcd("-y").succeeded()
    order = [host.name for host in turns(site)]
    with Writer(site) as writer:
        for version in ("3.5.16", "3.5.30"):
            outcome = upgrade(site, version).succeeded()
            assert set(running(site).values()) == {version}
            if version == "3.5.16":
                said = [f"quorum 2, healthy 3 -> 2 while {name} restarts" for name in order]
                places = [outcome.text.index(sentence) for sentence in said]
                assert places == sorted(places), "followers first, the leader last"
    writer.report.nothing_lost()
    again = upgrade(site, "3.5.30").unchanged()
    assert "every member runs etcd 3.5.30" in again.text
    site.settings["etcd_version"] = "3.5.30"
    site.etcd("-y").unchanged()


@pytest.mark.parametrize("families", [LONG[:1] * 3], ids=[title(LONG[0])])
def test_a_canary_is_brought_back_while_the_others_run_the_older_release(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, settings=OLD)
    site.etcd("-y").succeeded()
    canary, *others = site.hosts
    with Writer(site) as writer:
        upgrade(site, "3.5.16", f"--limit={site.name(canary)}").succeeded()
        assert running(site) == {canary.name: "3.5.16", **{host.name: "3.4.23" for host in others}}
        before = {host.name: site.processes()[host.name] for host in others}
        upgrade(site, "3.5.16", "--data=etcd_rollback=true").succeeded()
        assert set(running(site).values()) == {"3.4.23"}
        assert {host.name: site.processes()[host.name] for host in others} == before
    writer.report.nothing_lost()
    site.etcd("-y").unchanged()


@pytest.mark.parametrize("families", [SHORT], ids=["+".join(map(title, SHORT))])
def test_a_release_that_does_not_start_stops_the_upgrade_and_the_same_command_finishes_it(
    fresh: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = fresh(families, settings={"etcd_version": "3.5.0", "etcd_timeout": 10})
    site.etcd("-y").succeeded()
    first, broken, last = turns(site)
    # It looks staged, but its etcd cannot be executed.
    broken.run("mkdir -p /opt/etcd/3.5.1/etcd && echo 0 >/opt/etcd/3.5.1/.archive-sha256")
    with Writer(site) as writer:
        outcome = upgrade(site, "3.5.1").failed(
            "not healthy after 10 s", "wanted it healthy", "no other member was touched after it"
        )
        assert f"left untouched, because {site.name(broken)} failed in this run" in outcome.text
        assert (site.status(first)["version"], site.status(last)["version"]) == ("3.5.1", "3.5.0")
        assert site.pid(broken) == 0
        broken.run("mv /opt/etcd/3.5.1 /root/broken")
        done = site.pid(first)
        upgrade(site, "3.5.1").succeeded()
        assert site.pid(first) == done, "who had its turn is not restarted again"
        assert set(running(site).values()) == {"3.5.1"}
    writer.report.nothing_lost()


@pytest.mark.parametrize("families", [("alpine",) * 3], ids=[title("alpine")])
def test_converging_with_another_version_ends_with_the_upgrade_command(
    shared: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = shared(families, "ssh")
    before = site.processes()
    outcome = site.run("-y", "--data=etcd_version=3.5.30", "deploys/etcd.py").failed(
        "found etcd 3.5.1 running, wanted 3.5.30 as etcd_version says; "
        "next: pyinfra -y INVENTORY deploys/upgrade.py --data etcd_version=3.5.30"
    )
    assert not outcome.verdicts["Success"]
    assert site.processes() == before


@pytest.mark.parametrize("families", [("alpine",) * 3], ids=[title("alpine")])
@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("3.4.23", "restore a snapshot, as etcd itself goes back only from 3.7 to 3.6 and from 3.6 to 3.5"),
        ("3.6", "wanted a full version such as 3.6"),
    ],
)
def test_a_way_that_etcd_does_not_support_is_refused_before_any_change(
    shared: Callable[..., Site], families: tuple[str, ...], version: str, sentence: str
) -> None:
    site = shared(families, "ssh")
    upgrade(site, version).refused(sentence)
