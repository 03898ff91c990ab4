"""flannel: one network over all hosts that are clients of a cluster and name it."""

from __future__ import annotations

from pyinfra import context
from pyinfra.api import deploy

from etcd_steward.flannel_host import bundle_of
from etcd_steward.flannel_run import flannel_run
from etcd_steward.operations import flannel as network
from etcd_steward.uploads import due
from etcd_steward.verbs.clients import give

__all__ = ["flannel"]


@deploy("flannel")
def flannel() -> None:
    """Bring a host with `etcd_client_of` and `etcd_flannel_network` into that network."""
    host = context.host
    run = flannel_run(host)
    if run is None:
        host.noop("no host of a flannel network")
        return
    give(run.client, bundle_of(run.settings[host.name]))
    due(host, run.archive(host), missing=run.work(host.name).stage)
    network.staged(name="Stage flannel", run=run)
    network.prepared(name="Prepare kernel and firewall", run=run)
    network.configured(name="Write the network configuration", run=run)
    network.started(name="Start flanneld", run=run)
    network.proved(name="Prove the network", run=run)
