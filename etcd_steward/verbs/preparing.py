"""What every host gets before its member is made: the clock, the account, and the release beside others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcd_steward import crio, kubelet
from etcd_steward.operations import account, binary, cluster, node, release, time
from etcd_steward.uploads import due

if TYPE_CHECKING:
    from pyinfra.api import Host

    from etcd_steward.converge import Converge

__all__ = ["prepare"]


def prepare(host: Host, run: Converge) -> None:
    """Call the operations that prepare a host; none of them touches a running member.

    Args:
        host: the host that pyinfra is working on.
        run: the run of its cluster.
    """
    job = run.job()
    settings = job.sight.cluster.member(host.name).settings
    left = job.works[host.name]
    wanted = job.wanted.get(host.name)
    if settings.etcd_time_sync:
        time.synchronised(
            name="Synchronise the clock",
            servers=settings.etcd_time_servers,
            timezone=settings.etcd_timezone,
            step=settings.etcd_time_step,
            state=job.sight.hosts[host.name],
        )
    account.present(
        name="Make the system account",
        user=settings.run_as[0],
        group=settings.run_as[1],
        uid=settings.etcd_uid,
        gid=settings.etcd_gid,
        missing=left.account,
    )
    if settings.pod:
        node.installed(name="Install kubelet", run=run)
        lack = job.unprepared.get(host.name)
        machine = job.sight.hosts[host.name].machine
        if settings.etcd_kubelet_version:
            lacks = bool(lack and lack.kubelet)
            binary.staged(
                name=f"Stage kubelet {settings.etcd_kubelet_version}",
                program="kubelet",
                version=settings.etcd_kubelet_version,
                obtain=due(host, kubelet.obtain(settings, machine, host.log), missing=lacks),
                prefix=kubelet.PREFIX,
                missing=lacks,
            )
        if settings.etcd_crio_version and settings.etcd_container_runtime == "crio":
            lacks = bool(lack and lack.bundle)
            binary.staged(
                name=f"Install CRI-O {settings.etcd_crio_version}",
                program=crio.PROGRAM,
                version=settings.etcd_crio_version,
                obtain=due(host, crio.obtain(settings, machine, host.log), missing=lacks),
                prefix=crio.PREFIX,
                missing=lacks,
                bundle=True,
            )
        node.prepared(name="Prepare the host for static pods", run=run)
    cluster.ready(name="Judge clock and disk", run=run)
    release.staged(
        name="Stage the release",
        version=str(wanted.version) if wanted else settings.etcd_version,
        obtain=due(host, run.archive(host), missing=left.stage),
        prefix=settings.etcd_prefix,
        arch=run.arch(host.name),
        missing=left.stage,
    )
