"""A host for static pods: kubelet and container runtime installed, configured alike, and running."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, StringCommand, operation

from etcd_steward.failing import not_now
from etcd_steward.node import node_packages, repositories
from etcd_steward.operations.files import show_differences, writing
from etcd_steward.operations.packages import installing
from etcd_steward.platforms import CONTAINER_RUNTIMES, package_manager
from etcd_steward.shell import KEPT, Content, script

if TYPE_CHECKING:
    from etcd_steward.converge import Converge
    from etcd_steward.node import Lack
    from etcd_steward.settings import Settings

__all__ = ["installed", "prepared"]

Commands = Generator[StringCommand | FunctionCommand, None, None]


@operation()
def installed(run: Converge) -> Commands:
    """
    Install kubelet and the container runtime from their repositories, where they are not there yet.

    + run: the run of this cluster
    """
    host = context.host
    job = run.job()
    lack = job.unprepared.get(host.name)
    if lack is None or not lack.programs:
        host.noop("kubelet and the container runtime are already there")
        return
    instead = not_now(
        host, run.failures, StringCommand("# install", *lack.programs), "without kubelet or container runtime"
    )
    if instead is not None:
        yield instead
        return
    settings = job.sight.cluster.member(host.name).settings
    state = job.sight.hosts[host.name]
    manager = package_manager(state.os_id, state.os_like)
    assert manager is not None  # noqa: S101 - there was a complaint otherwise
    yield from installing(manager.name, repositories(settings), node_packages(lack, manager.name))


@operation()
def prepared(run: Converge) -> Commands:
    """
    Switch swap off for good, load modules, set kernel settings, and let kubelet and container runtime run with our files.

    + run: the run of this cluster
    """
    host = context.host
    job = run.job()
    lack = job.unprepared.get(host.name)
    if lack is None:
        host.noop("the host is fit for static pods" if _pods(run) else "members are no static pods")
        return
    show_differences(lack.files)
    instead = not_now(host, run.failures, StringCommand("# prepare:", ", ".join(lack.told())), "not prepared")
    if instead is not None:
        yield instead
        return
    settings = job.sight.cluster.member(host.name).settings
    made = [Content(file.path, file.content, file.mode, file.owner) for file in lack.files]
    # What a package or an installer has just brought is somebody else's too, so it is the host that is asked now.
    kept = script("kept.sh", candidates=[file.path for file in lack.files], aside=KEPT) + ""
    # What is started here lives on: it must not inherit the lock of `guard.sh`.
    yield writing(made, before=kept, after=f"{{ {_fit(settings, lack)}\n}} 9>&-")


def _pods(run: Converge) -> bool:
    return run.job().sight.cluster.settings.pod


def _fit(settings: Settings, lack: Lack) -> str:
    host = CONTAINER_RUNTIMES[settings.etcd_container_runtime]
    paths = [file.path for file in lack.files]
    changed = ["runtime"] if lack.bundle or host.config in paths else []
    changed += ["kubelet"] if lack.kubelet or any("kubelet" in path for path in paths) else []
    return (
        script(
            "swappers.sh",
            "node.sh",
            swap="yes" if lack.swap else "",
            modules=lack.modules,
            sysctls=[f"{key}={value}" for key, value in lack.sysctls.items()],
            kubelet=lack.kubelet,
            units=[host.service, "kubelet.service"],
            runtime_unit=host.service,
            changed=changed,
            manifests=settings.etcd_manifest_dir,
        )
        + ""
    )
