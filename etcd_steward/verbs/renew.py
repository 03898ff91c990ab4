"""Renew: make certificates anew that are near their end, without restarting anybody."""

from __future__ import annotations

from pyinfra import context
from pyinfra.api import deploy

from etcd_steward.clusters import cluster_run
from etcd_steward.converge import Converge
from etcd_steward.job import Scope
from etcd_steward.operations import cluster, membership, time

__all__ = ["renew"]


@deploy("renew")
def renew() -> None:
    """Make the certificates anew that are inside the renewal window, or all with `etcd_renew_all`."""
    host = context.host
    found = cluster_run(host)
    if found is None:
        host.noop("no member of an etcd cluster")
        return
    settings = found.settings[host.name]
    scope = Scope(certificates_only=True, renew_all=settings.etcd_renew_all, any_release=True)
    run: Converge = found.once("renew", lambda: Converge(found, scope, "renew"))
    job = run.job()

    cluster.confirmed(name="Look again", run=run, verb="renew")
    if settings.etcd_time_sync:
        time.synchronised(
            name="Synchronise the clock",
            servers=settings.etcd_time_servers,
            timezone=settings.etcd_timezone,
            step=settings.etcd_time_step,
            state=job.sight.hosts[host.name],
        )
    cluster.ready(name="Judge the clock", run=run)
    for turned in host.loop(job.order):
        if turned == host.name:
            membership.turn(
                name=f"Certificates of {job.sight.cluster.member(turned).name}", run=run, _serial=True
            )
    cluster.verified(name="Verify the cluster", run=run)
