"""What is promised about `deploys/backup.py`, with pyinfra's engine over pretended hosts."""

import pytest

from etcd_steward.verbs import backup
from tests.engine.fakes import PROBE, World, run_deploy

N1, N2, N3 = HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
TAKEN = (
    'taken {"written by":"etcd-steward","file":"etcd-n2-r7.db","sha256":"00","size":1,"revision":7,"keys":1,"hash":1,'
    '"compact_revision":-1,"cluster":"etcd","cluster_id":"00000000000000aa","member":"n2","version":"3.5.33",'
    '"time":"2026-01-01T00:00:00Z","seconds":1767225600,"origin":"backup"}'
)


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return World(tmp_path / "controller")


def take(world, reply, **more):
    """Take a backup; give the run, and who was asked for anything but a look."""
    for host in world.hosts.values():
        host.reply = lambda command: reply if "snapshot backup" in command else []
    result = run_deploy(world.hosts, backup, **more)
    asked = {host for host, told in result.commands.items() if any(PROBE not in command for command in told)}
    return result, asked


def test_f24_one_caught_up_follower_is_asked_for_it_once(world):
    result, asked = take(world, [TAKEN, "pruned old.db"])
    assert asked == {N2}
    assert sum("snapshot backup" in command for command in result.commands[N2]) == 1
    assert "/var/lib/etcd-snapshots/etcd-n2-r7.db: revision 7, 1 keys" in result.log
    assert "old.db has had its time and was removed" in result.log


def test_a_follower_that_lags_is_not_asked(world):
    for host in (N1, N3):
        world.show(host, "converged", raft=90_000)
    assert take(world, [TAKEN])[1] == {N3}


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (["failed found 3 MB free in /srv, wanted 4 MB; next: make room"], "found 3 MB free in /srv, wanted"),
        ([], "found no answer"),
        (None, "found no answer"),
        ([TAKEN, "failed found exit status 3 of etcd_snapshot_command"], "found exit status 3 of"),
    ],
    ids=["no room", "cut", "failed", "the operator's command"],
)
def test_what_went_wrong_on_the_host_fails_the_run_and_leaves_nothing_here(world, tmp_path, reply, told):
    result, asked = take(world, reply)
    assert told in result.log
    assert (result.failed, asked) == ({N2}, {N2})
    assert not (tmp_path / "backups").exists()


def test_without_a_healthy_member_that_may_be_changed_nobody_is_asked(world):
    world.show(N3, "unhealthy")
    result, asked = take(world, [TAKEN], limit=[N3])
    assert "etcd: found no healthy member that has caught up and may be asked" in result.refused
    assert asked == set()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"file":"etcd-n2-r7.db"', '"file":"etcd-n1-r7.db"'),
        ('"member":"n2"', '"member":"n1"'),
        ('"cluster":"etcd"', '"cluster":"other"'),
        ("7", "1000000000000000"),
    ],
    ids=["another's file", "another member", "another cluster", "a revision that nobody has"],
)
def test_d9_what_a_member_tells_that_cannot_be_its_own_snapshot_never_comes_here(
    world, tmp_path, before, after
):
    told = TAKEN.replace(before, after)
    if before == "7":
        told = TAKEN.replace('"revision":7', f'"revision":{after}').replace("-r7.", f"-r{after}.")
    result, _ = take(world, [told])
    assert result.failed == {N2}
    assert not (tmp_path / "backups").exists()
