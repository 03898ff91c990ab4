"""Maintain: compact, defragment one member at a time, and end the alarm NOSPACE."""

from __future__ import annotations

from pyinfra import context, logger
from pyinfra.api import deploy

from etcd_steward.clusters import cluster_run
from etcd_steward.maintaining import Care, choose_care
from etcd_steward.operations import exclusive, maintenance
from etcd_steward.run import ClusterRun, Sight, refuse

__all__ = ["maintain"]


@deploy("maintain")
def maintain() -> None:
    """Give the databases of the host's cluster the care that the rule in the settings asks for."""
    host = context.host
    run = cluster_run(host)
    if run is None:
        host.noop("no member of an etcd cluster")
        return
    sight, care = run.once("care", lambda: _plan(run))

    exclusive.claimed(
        name="Lock the cluster",
        run=run,
        verb="maintain",
        sight=sight,
        changes=care.anything,
        again=lambda: _choose(run)[1].essence() == care.essence(),
    )
    maintenance.compacted(name="Compact", run=run, sight=sight, care=care)
    for turned in host.loop(care.order):
        if turned == host.name:
            maintenance.defragmented(
                name=f"Defragment {sight.cluster.member(turned).name}",
                run=run,
                sight=sight,
                care=care,
                _serial=True,
            )
    maintenance.disarmed(name="Verify the cluster", run=run, sight=sight, care=care)


def _plan(run: ClusterRun) -> tuple[Sight, Care]:
    sight, care = _choose(run)
    refuse(list(care.complaints))
    for member in sight.cluster.members:
        logger.info(f"    {run.name}: {member.name}: {care.databases[member.host]}")
    if care.nospace:
        logger.info(f"    {run.name}: the alarm NOSPACE is raised: nothing can be written until it is ended")
    return sight, care


def _choose(run: ClusterRun) -> tuple[Sight, Care]:
    sight = run.look(only=True)
    return sight, choose_care(sight, run.limited())
