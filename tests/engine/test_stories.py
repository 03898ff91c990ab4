"""Failure stories of the field, with pyinfra's real engine over pretended hosts; docs/failures.md lists all of them."""

import pytest

from etcd_steward import releases
from etcd_steward.verbs import etcd
from tests.engine.fakes import World, run_deploy
from tests.engine.living import OTHERS, Living

N1, N2, N3, N4 = "@fake/n1", "@fake/n2", "@fake/n3", "@fake/n4"


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Let an archive be there to install."""
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(b"archive")
    monkeypatch.setattr(releases, "obtain", lambda *_args, **_more: releases.Archive(path, "0" * 64))


def test_f08_nobody_joins_while_a_voter_is_down(tmp_path, archive):
    world = World(tmp_path / "controller", ("n1", "n2", "n3", "n4"), etcd_allow_even=True)
    for host in (N1, N2, N3):
        world.show(host, "converged", listed=world.cluster.members[:3])
    world.show(N4, "empty")
    living = Living(world)
    living._answer = lambda host, command, ask=living._answer: (
        [f"down {world.cluster.member(N3).client_url} no route to host"]
        if OTHERS in command
        else ask(host, command)
    )
    result = run_deploy(living.hosts, etcd)
    assert N4 in result.failed
    assert living.happened("add") == []
    assert living.happened("start") == []
    assert "found other voters down (" in result.log


@pytest.mark.parametrize(("took", "warned"), [(50, True), (10, False)])
def test_f37_a_disk_that_is_too_slow_is_told_before_the_cluster_is_made(tmp_path, archive, took, warned):
    world = World(tmp_path / "controller", formed=False)
    living = Living(world)
    living._answer = lambda host, command, ask=living._answer: (
        [f"fsync {took}"] if 'echo "fsync ' in command and host == N2 else ask(host, command)
    )
    result = run_deploy(living.hosts, etcd)
    assert (result.refused, result.failed) == ("", set())
    sentence = f"a durable write in /var/lib/etcd takes {took} ms; etcd wants 10 ms or less. Raise heartbeat-interval"
    assert (sentence in result.log) is warned
