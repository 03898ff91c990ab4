"""Reset: end a cluster on all its hosts, deleting nothing."""

from __future__ import annotations

from pyinfra import context, logger
from pyinfra.api import deploy

from etcd_steward.clusters import cluster_run
from etcd_steward.operations import exclusive, leaving, resetting
from etcd_steward.resetting import Reset, choose_reset
from etcd_steward.run import ClusterRun, Sight, refuse

__all__ = ["reset"]


@deploy("reset")
def reset() -> None:
    """End the host's cluster, whose id `etcd_reset` has to be."""
    host = context.host
    run = cluster_run(host)
    if run is None:
        host.noop("no member of an etcd cluster")
        return
    sight, left = run.once("reset", lambda: _plan(run))

    exclusive.claimed(
        name="Lock the cluster",
        run=run,
        verb="reset",
        sight=sight,
        changes=left.anything,
        again=lambda: _choose(run)[1] == left,
    )
    leaving.aside(
        name="Stop it and move what it has aside",
        run=run,
        sight=sight,
        member=sight.cluster.member(host.name),
        behind=left.behind.get(host.name, ()),
    )
    resetting.forgotten(name="Move the record aside", run=run, sight=sight, reset=left)


def _plan(run: ClusterRun) -> tuple[Sight, Reset]:
    sight, left = _choose(run)
    refuse(list(left.complaints))
    for host in left.behind:
        logger.warning(
            f"    {run.name}: {host} is stopped, and its data, configuration and certificates moved aside"
        )
    return sight, left


def _choose(run: ClusterRun) -> tuple[Sight, Reset]:
    sight = run.look(only=True)
    return sight, choose_reset(sight, run.limited())
