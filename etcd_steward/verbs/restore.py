"""Restore: all members made anew from one snapshot, the old data moved aside."""

from __future__ import annotations

from pyinfra import context, logger
from pyinfra.api import Host, deploy

from etcd_steward.clusters import cluster_run
from etcd_steward.gates import FIRST_STORED
from etcd_steward.operations import cluster, exclusive, membership, snapshot, upgrading
from etcd_steward.operations import restore as restoring
from etcd_steward.reachability import confirmed
from etcd_steward.report import judge
from etcd_steward.restoration import Restoration
from etcd_steward.restored import restored_already
from etcd_steward.run import ClusterRun, Sight
from etcd_steward.schedule import schedule, unscheduled
from etcd_steward.verbs.preparing import prepare

__all__ = ["restore"]


@deploy("restore")
def restore() -> None:
    """Restore the host's cluster from `etcd_snapshot`."""
    host = context.host
    found = cluster_run(host)
    if found is None:
        host.noop("no member of an etcd cluster")
        return
    if found.once("restored already", lambda: _done(found)):
        _hold(host, found)
        return
    run: Restoration = found.once("restoration", lambda: Restoration(found))
    job = run.job()
    member, state = job.sight.cluster.member(host.name), job.sight.hosts[host.name]

    cluster.confirmed(name="Look again", run=run, verb="restore")
    prepare(host, run)
    restoring.obtained(name="Obtain the snapshot", run=run)
    restoring.tried(name="Try the snapshot", run=run)
    restoring.staged(name="Restore beside the data", run=run)
    restoring.stopped(name="Stop the members", run=run)
    membership.opened(name="Open the record", run=run)
    restoring.switched(name="Switch the data", run=run)
    membership.started(name="Start the members", run=run)
    cluster.awaited(name="Await the members", run=run)
    restoring.compared(name="Compare with the manifest", run=run)
    cluster.formed(name="Await the cluster", run=run)
    membership.settled(name="Close the record", run=run)
    snapshot.scheduled(
        name="Schedule snapshots", schedule=schedule(job.sight.cluster, member, state.init), state=state
    )
    # A snapshot of a cluster that was led down carries that on (measured with 3.6.14).
    due = job.wanted[host.name].version >= FIRST_STORED
    upgrading.concluded(name="Look for a downgrade that is left", run=found, sight=job.sight, due=due)
    cluster.verified(name="Verify the cluster", run=run)


def _done(run: ClusterRun) -> bool:
    manifest = restored_already(Restoration.look_first(run))
    if manifest is not None:
        logger.info(
            f"    {run.name}: this cluster was restored from {manifest.file} already, so nothing is done; "
            "to put its data aside and restore once more: --data etcd_restore_over=ID, its id of deploys/status.py"
        )
    return manifest is not None


def _hold(host: Host, run: ClusterRun) -> None:
    """Hold a finished restore to its promise: an earlier run may have been cut before it scheduled or verified anything."""
    sight = Restoration.look_first(run)
    lacking = unscheduled(sight.cluster, sight.hosts)
    state = sight.hosts[host.name]

    def again() -> bool:
        after = run.look(only=True)
        return unscheduled(after.cluster, after.hosts) == lacking

    exclusive.claimed(
        name="Look again", run=run, verb="restore", sight=sight, changes=bool(lacking), again=again
    )
    wanted = schedule(sight.cluster, sight.cluster.member(host.name), state.init)
    snapshot.scheduled(name="Schedule snapshots", schedule=wanted, state=state)
    problems: dict[str, str] = run.once("restored and well", lambda: _problems(run, sight))
    cluster.judged(name="Verify the cluster", problem=problems.get(host.name, ""))


def _problems(run: ClusterRun, sight: Sight) -> dict[str, str]:
    limit = run.limited()
    problems = judge(confirmed(run, sight), limit)
    for complaint in sight.decide().refusals:
        hosts = [complaint.host] if complaint.host in run.hosts else sorted(limit)
        problems |= dict.fromkeys(hosts, str(complaint))
    return problems
