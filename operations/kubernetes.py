"""Control planes in front of a cluster: kubeadm's tools, its configuration, and the first control plane."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, StringCommand, operation

from etcd_steward.failing import not_now
from etcd_steward.kubeadm import TOOLS
from etcd_steward.kubernetes_look import CONFIG, LOG
from etcd_steward.operations.files import show_differences, writing
from etcd_steward.operations.packages import installing
from etcd_steward.platforms import INITS, REPOSITORY_FILES
from etcd_steward.shell import script

if TYPE_CHECKING:
    from etcd_steward.control_planes import ControlPlanes

__all__ = ["configured", "initialised", "installed"]

Commands = Generator[StringCommand | FunctionCommand, None, None]


@operation()
def installed(planes: ControlPlanes) -> Commands:
    """
    Have kubeadm, kubectl and kubelet on a host, from their repository or as staged programs; what is there stays.

    + planes: the control planes in front of the cluster
    """
    host = context.host
    look, how = planes.looks[host.name], planes.how(host.name)
    service = planes.lacking(host.name, planes.service(host.name))
    enable = how != "present" and look.init == "systemd" and not look.enabled
    if not look.missing and not service and not enable:
        host.noop("kubeadm, kubectl and kubelet are there")
        return
    show_differences(service)
    if not host.state.is_executing:
        yield StringCommand("# install", *(look.missing or ["kubelet's service"]))
        return
    after = []
    if how == "repository" and look.missing:
        yield from _from_repository(planes, host.name)
    if how == "binaries":
        release = f"{planes.settings[host.name].etcd_kubernetes_prefix}/{planes.release(host.name)}"
        after.append(script("link.sh", bin_dir="/usr/local/bin", release=release, tools=look.missing) + "")
    if enable or service:
        init = INITS[look.init]
        after += [f"{{ {part.format(name='kubelet')}; }} 9>&-" for part in (init.load, init.enable)]
    if after:
        yield writing(service, after="\n".join(after))


def _from_repository(planes: ControlPlanes, name: str) -> Commands:
    packages = planes.looks[name].packages
    assert packages is not None  # noqa: S101 - there was a complaint otherwise
    version = planes.release(name).removeprefix("v")
    package = REPOSITORY_FILES[packages.name].package
    wanted = [package.format(name=tool, version=version) for tool in TOOLS]
    more = {"no_recommends": True} if packages.name == "apt" else {}
    yield from installing(packages.name, [planes.repository(name)], wanted, **more)


@operation()
def configured(planes: ControlPlanes) -> Commands:
    """
    Write what `kubeadm init` reads, on the first control plane.

    + planes: the control planes in front of the cluster
    """
    host = context.host
    if host.name != planes.first:
        host.noop("the first control plane has kubeadm's configuration")
        return
    files = planes.lacking(host.name, [planes.config()])
    if not files:
        host.noop("kubeadm's configuration is as it should be")
        return
    show_differences(files)
    if not host.state.is_executing:
        yield StringCommand("# put", CONFIG)
        return
    if planes.looks[host.name].admin:
        # A kubeadm that has meanwhile been upgraded by hand would refuse what this control plane was made with.
        host.log(f"{CONFIG}: what was made with it stays as it is; see docs/kubernetes.md for changes")
        yield writing(files)
        return
    before = f"if [ -f {CONFIG} ]; then cp -p {CONFIG} {CONFIG}.before; fi"
    yield writing(files, before, script("kubeadm-validate.sh", config=CONFIG) + "")


@operation()
def initialised(planes: ControlPlanes) -> Commands:
    """
    Run `kubeadm init` on the first control plane where that is asked for, once; tell how the others join.

    + planes: the control planes in front of the cluster
    """
    host = context.host
    look, first = planes.looks[host.name], planes.first
    if look.admin:
        host.noop("this is a control plane already")
        return
    if host.name != first:
        _say(f"to join: {_joining(first)}; see docs/kubernetes.md")
        host.noop("it joins by hand")
        return
    if not planes.initialises:
        _say("`kubeadm init` is run with etcd_kubernetes_init=true")
        host.noop("nothing was asked for")
        return
    instead = not_now(
        host,
        planes.client.run.failures,
        StringCommand("# kubeadm init --upload-certs"),
        "kubeadm init is not run",
    )
    if instead is not None:
        yield instead
        return
    yield StringCommand(script("guard.sh", "kubeadm-init.sh", config=CONFIG, log=LOG))
    host.log(f"kubeadm init has ended well; what it said, a token among it, is in {LOG}, for root alone")


def _say(text: str) -> None:
    # While a run is planned, nothing has come of it yet.
    if context.host.state.is_executing:
        context.host.log(text)


def _joining(first: str) -> str:
    name = first.rpartition("/")[2]
    return (
        f"`kubeadm join … --control-plane --certificate-key …`, which {LOG} on {name} tells for two hours, and after them "
        f"`kubeadm token create --print-join-command` and `kubeadm init phase upload-certs --upload-certs --config {CONFIG}` there"
    )
