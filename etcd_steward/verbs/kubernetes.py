"""Kubernetes: control planes by kubeadm in front of a cluster."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import context
from pyinfra.api import Host, deploy

from etcd_steward.clients import ClientRun
from etcd_steward.control_planes import BUNDLE, ControlPlanes
from etcd_steward.fleet import in_front
from etcd_steward.kubeadm import TOOLS
from etcd_steward.operations import binary
from etcd_steward.operations import kubernetes as planes_of
from etcd_steward.run import refuse
from etcd_steward.settings import Settings
from etcd_steward.uploads import due
from etcd_steward.verbs.clients import give

__all__ = ["kubernetes"]


@deploy("kubernetes")
def kubernetes() -> None:
    """Prepare the host as a control plane of the cluster that it is a client of, where it is in the group of these."""
    host = context.host
    found = in_front(host, "etcd_kubernetes_group", "control plane", "control planes")
    if found is None:
        host.noop("no control plane")
        return
    client, settings = found
    planes: ControlPlanes = client.run.once("control planes", lambda: _looked(host, client, settings))
    own, look = planes.settings[host.name], planes.looks[host.name]

    give(client, BUNDLE, planes.shares(host.name))
    if own.etcd_kubernetes_install == "binaries":
        for tool in host.loop(list(TOOLS)):
            there = tool in look.tools or f"{planes.release(host.name)} .{tool}-sha256" in look.staged
            binary.staged(
                name=f"Stage {tool}",
                program=tool,
                version=planes.release(host.name),
                obtain=due(host, planes.obtain(host, tool), missing=not there),
                prefix=own.etcd_kubernetes_prefix,
                missing=not there,
            )
    planes_of.installed(name="Install kubeadm, kubectl and kubelet", planes=planes)
    planes_of.configured(name="Write kubeadm's configuration", planes=planes)
    planes_of.initialised(name="Make the first control plane", planes=planes)


def _looked(host: Host, client: ClientRun, settings: Mapping[str, Settings]) -> ControlPlanes:
    planes, complaints = ControlPlanes.look(host, client, settings)
    refuse(complaints)
    return planes
