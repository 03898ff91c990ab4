"""Drill: prove that a snapshot can be restored, without touching any member."""

from __future__ import annotations

from pyinfra import context, logger
from pyinfra.api import deploy

from etcd_steward.clusters import cluster_run
from etcd_steward.drilling import Trial, choose_trial
from etcd_steward.operations import drill as drills
from etcd_steward.run import ClusterRun, Sight, refuse

__all__ = ["drill"]


@deploy("drill")
def drill() -> None:
    """Restore the newest snapshot, or `etcd_snapshot`, into a throw-away etcd and compare it with its manifest."""
    host = context.host
    run = cluster_run(host)
    if run is None:
        host.noop("no member of an etcd cluster")
        return
    sight, trial = run.once("trial", lambda: _choose(run))
    drills.drilled(name="Try the snapshot", run=run, sight=sight, trial=trial)


def _choose(run: ClusterRun) -> tuple[Sight, Trial]:
    sight = run.look(only=True)
    limit = run.limited()
    for member in sight.cluster.members:
        if member.host in limit and not sight.hosts[member.host].reached:
            logger.warning(
                f"    {run.name}: {member.host} gives no answer, so its snapshots are not looked at"
            )
    trial, complaints = choose_trial(run, sight, limit)
    refuse(complaints)
    assert trial is not None  # noqa: S101 - otherwise there was a complaint
    where = "the controller" if trial.here else trial.member.host
    logger.info(f"    {run.name}: {trial.manifest.file} of {where} is tried on {trial.member.host}")
    return sight, trial
