"""Backup: a snapshot from one healthy member, verified, and copied to the controller."""

from __future__ import annotations

from pyinfra import context, logger
from pyinfra.api import deploy

from etcd_steward.backing_up import giver, revisions
from etcd_steward.clusters import cluster_run
from etcd_steward.operations import snapshot
from etcd_steward.run import ClusterRun, refuse
from etcd_steward.topology import Member

__all__ = ["backup"]


@deploy("backup")
def backup() -> None:
    """Take a snapshot of the host's cluster, once for all its hosts."""
    host = context.host
    run = cluster_run(host)
    if run is None:
        host.noop("no member of an etcd cluster")
        return
    source, told = run.once("giver", lambda: _giver(run))
    snapshot.taken(name="Take a snapshot", run=run, cluster=run.name, source=source)
    snapshot.fetched(name="Copy it to the controller", run=run, source=source, told=told)


def _giver(run: ClusterRun) -> tuple[Member, tuple[int, ...]]:
    sight = run.look()
    limit = run.limited()
    member, complaints = giver(sight, limit)
    refuse(complaints)
    assert member is not None  # noqa: S101 - otherwise there was a complaint
    logger.info(f"    {run.name}: {member.name} gives the snapshot")
    return member, tuple(number for name, number in revisions(sight).items() if name != member.host)
