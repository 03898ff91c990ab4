"""Static pods: make the cluster, or bring every member to what the settings say, with a kubelet on each host."""

from __future__ import annotations

from pyinfra import context
from pyinfra.api import deploy

from etcd_steward.clusters import cluster_run
from etcd_steward.errors import Complaint
from etcd_steward.run import refuse
from etcd_steward.verbs.etcd import etcd

__all__ = ["static_pods"]


@deploy("static pods")
def static_pods() -> None:
    """Converge the host's cluster, whose members run as static pods; on hosts that are no members nothing happens."""
    found = cluster_run(context.host)
    if found is not None:
        services = [host for host, settings in found.settings.items() if not settings.pod]
        wanted, cure = (
            '"static_pod"',
            'set etcd_runtime = "static_pod" for all members, or run deploys/etcd.py',
        )
        refuse([Complaint(host, 'etcd_runtime = "service"', wanted, cure) for host in services])
    etcd()
