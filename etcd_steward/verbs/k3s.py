"""k3s: servers that keep their data in a cluster, one after the other."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import context
from pyinfra.api import Host, deploy

from etcd_steward.cli_mode import one_by_one
from etcd_steward.clients import ClientRun
from etcd_steward.errors import Complaint
from etcd_steward.fleet import in_front
from etcd_steward.k3s_look import bundle_of
from etcd_steward.k3s_servers import Servers
from etcd_steward.operations import binary
from etcd_steward.operations import k3s as servers_of
from etcd_steward.run import refuse
from etcd_steward.settings import Settings
from etcd_steward.uploads import due
from etcd_steward.verbs.clients import give

__all__ = ["k3s"]


@deploy("k3s")
def k3s() -> None:
    """Make the host a k3s server of the cluster that it is a client of, where it is in the group of the servers."""
    host = context.host
    found = in_front(host, "etcd_k3s_group", "k3s server", "servers")
    if found is None:
        host.noop("no k3s server")
        return
    client, settings = found
    servers: Servers = client.run.once("k3s servers", lambda: _looked(host, client, settings))
    own = servers.settings[host.name]

    give(client, bundle_of(own))
    servers_of.cgroups(name="Let the kernel have its cgroups", servers=servers)
    missing = own.etcd_k3s_version not in servers.looks[host.name].releases
    binary.staged(
        name="Stage k3s",
        program="k3s",
        version=str(own.etcd_k3s_version),
        obtain=due(host, servers.obtain(host), missing=missing),
        prefix=own.etcd_k3s_prefix,
        missing=missing,
    )
    for turned in host.loop(list(servers.looks)):
        if turned == host.name:
            servers_of.turn(name=f"k3s on {turned.rpartition('/')[2]}", servers=servers, _serial=True)


def _looked(host: Host, client: ClientRun, settings: Mapping[str, Settings]) -> Servers:
    servers, complaints = Servers.look(host, client, settings)
    refuse(complaints)
    waiting = [name for name in servers.looks if servers.left(name)]
    mode = one_by_one()
    if mode and len(waiting) > 1:
        refuse(
            [
                Complaint(
                    client.run.name,
                    mode,
                    "one k3s server after the other, in the inventory's order",
                    f"run without {mode}",
                )
            ]
        )
    return servers
