"""Converge: make the cluster, or bring every member to what the settings say."""

from __future__ import annotations

from pyinfra import context
from pyinfra.api import deploy

from etcd_steward.converge import Converge
from etcd_steward.operations import account, cluster, joining, membership, release, snapshot, time
from etcd_steward.run import cluster_run
from etcd_steward.schedule import schedule

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
    member = job.sight.cluster.member(host.name)
    settings = member.settings
    state = job.sight.hosts[host.name]
    left = job.works[host.name]
    wanted = job.wanted.get(host.name)

    cluster.confirmed(name="Look again", run=run)
    if settings.etcd_time_sync:
        time.synchronised(
            name="Synchronise the clock",
            servers=settings.etcd_time_servers,
            timezone=settings.etcd_timezone,
            step=settings.etcd_time_step,
            state=state,
        )
    account.present(
        name="Make the system account",
        user=settings.etcd_user,
        group=settings.etcd_group,
        uid=settings.etcd_uid,
        gid=settings.etcd_gid,
        missing=left.account,
    )
    cluster.ready(name="Judge clock and disk", run=run)
    release.staged(
        name="Stage the release",
        version=str(wanted.version) if wanted else settings.etcd_version,
        obtain=run.archive(host),
        prefix=settings.etcd_prefix,
        arch=run.arch(host.name),
        missing=left.stage,
    )
    membership.opened(name="Open the record", run=run)
    membership.started(name="Start the members", run=run)
    cluster.formed(name="Await the cluster", run=run)
    for turned in host.loop(job.order):
        if turned == host.name:
            membership.turn(name=f"Turn of {job.sight.cluster.member(turned).name}", run=run, _serial=True)
    for newcomer in host.loop(job.joins):
        if newcomer == host.name:
            what = job.plan.decisions[newcomer].action.capitalize()
            joining.joined(name=f"{what} {job.sight.cluster.member(newcomer).name}", run=run, _serial=True)
    membership.settled(name="Close the record", run=run)
    snapshot.scheduled(
        name="Schedule snapshots", schedule=schedule(job.sight.cluster, member, state.init), state=state
    )
    cluster.verified(name="Verify the cluster", run=run)
