"""Converge: make the cluster, or bring every member to what the settings say."""

from __future__ import annotations

from pyinfra import context
from pyinfra.api import deploy

from etcd_steward.clusters import cluster_run
from etcd_steward.converge import Converge
from etcd_steward.operations import cluster, joining, membership, snapshot
from etcd_steward.report import tell_faults
from etcd_steward.schedule import schedule
from etcd_steward.verbs.preparing import prepare

__all__ = ["etcd"]


@deploy("etcd")
def etcd() -> None:
    """Converge the host's cluster; on hosts that are no members nothing happens."""
    host = context.host
    found = cluster_run(host)
    if found is None:
        host.noop("no member of an etcd cluster")
        return
    run: Converge = found.once("converge", lambda: Converge(found))
    job = run.job()
    found.once("faults", lambda: tell_faults(found.name, job.sight))
    member = job.sight.cluster.member(host.name)
    state = job.sight.hosts[host.name]

    cluster.confirmed(name="Look again", run=run)
    prepare(host, run)
    membership.opened(name="Open the record", run=run)
    membership.started(name="Start the members", run=run)
    cluster.formed(name="Await the cluster", run=run)
    for turned in host.loop(job.sequence):
        if turned != host.name:
            continue
        if turned in job.joins:
            what = job.plan.decisions[turned].action.capitalize()
            joining.joined(name=f"{what} {job.sight.cluster.member(turned).name}", run=run, _serial=True)
        else:
            membership.turn(name=f"Turn of {job.sight.cluster.member(turned).name}", run=run, _serial=True)
    membership.settled(name="Close the record", run=run)
    snapshot.scheduled(
        name="Schedule snapshots", schedule=schedule(job.sight.cluster, member, state.init), state=state
    )
    cluster.verified(name="Verify the cluster", run=run)
