"""A cluster with etcd's authentication on, and no user for us: it answers, and every verb says what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etcd_steward.verbs import backup, etcd, maintain, restore, status, upgrade
from tests.engine.fakes import World, run_deploy
from tests.engine.living import Living

if TYPE_CHECKING:
    from pathlib import Path

# What each release says of a health pair whose user it does not know, measured: a key, and 3.5.30 its status as well.
DENIED = "Error: etcdserver: permission denied"
SAID = {
    "3.4.23": [f"etcd unread {DENIED}"],
    "3.5.30": [
        f"etcd unread {DENIED}",
        "etcd untold Failed to get the status of endpoint https://127.0.0.1:2379 (etcdserver: user name not found)",
    ],
    "3.5.34": [f"etcd unread {DENIED}"],
    "3.6.16": [f"etcd unread {DENIED}"],
    "3.7.3": [f"etcd unread {DENIED}"],
}
CURE = "etcdctl user add etcd-steward --no-password && etcdctl user grant-role etcd-steward root"


def locked(folder: Path, release: str, **settings: object) -> World:
    world = World(folder, etcd_version=release, **settings)
    for host in world.hosts.values():
        refused = [line.split()[1] for line in SAID[release]]
        host.lines = [
            line for line in host.lines if not ("untold" in refused and line.startswith("etcd status "))
        ]
        host.lines[-1:] = [*SAID[release], "end"]
    return world


@pytest.mark.parametrize("release", SAID)
@pytest.mark.parametrize("verb", [status, etcd, backup, maintain, upgrade])
def test_f6_a_cluster_that_knows_no_user_of_ours_is_told_so_and_is_never_called_lost(
    tmp_path: Path, verb: object, release: str
) -> None:
    world = locked(tmp_path / "controller", release)
    result = run_deploy(world.hosts, verb)
    told = result.refused + result.log + result.stdout
    assert result.refused or result.failed
    assert CURE in told
    assert "quorum" not in told.replace("quorum 2", "")
    assert "does not list" not in told
    assert result.only_looked


@pytest.mark.parametrize("release", SAID)
def test_f6_a_cluster_that_refuses_us_is_alive_and_nothing_is_restored_over_it(
    tmp_path: Path, release: str
) -> None:
    world = locked(tmp_path / "controller", release, etcd_snapshot="newest")
    result = run_deploy(world.hosts, restore)
    assert "a cluster that answers" in result.refused
    assert not any(
        "Restores a snapshot into" in one or "stop" in one
        for told in result.commands.values()
        for one in told
    )


def test_f8_status_tells_of_a_downgrade_that_nobody_is_on(tmp_path: Path) -> None:
    world = World(tmp_path / "controller", etcd_version="3.6.14")
    Living(world)
    for host in world.hosts.values():
        host.lines = [
            line.replace(
                '"version": "3.6.14"',
                '"downgradeInfo": {"enabled": true, "targetVersion": "3.5.0"}, "version": "3.6.14"',
            )
            for line in host.lines
        ]
    result = run_deploy(world.hosts, status)
    assert "a downgrade to 3.5 is enabled" in result.log + result.stdout
    assert "--data etcd_version=3.6.14" in result.log + result.stdout
