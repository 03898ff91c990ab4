"""A host for static pods: kubelet and container runtime installed, configured alike, and running."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.operations import apt, dnf

from etcd_steward.failing import not_now
from etcd_steward.node import Repository, node_packages, repositories
from etcd_steward.operations.files import FileSpec, show_differences, writing
from etcd_steward.platforms import CONTAINER_RUNTIMES, package_manager
from etcd_steward.shell import Content, script
from etcd_steward.templating import render

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
    packages = node_packages(lack, manager.name if manager else "")
    if manager is not None and manager.name == "apt":
        yield from _from_apt(settings, packages)
    else:
        yield from _from_dnf(settings, packages)


def _from_apt(settings: Settings, packages: list[str]) -> Commands:
    yield from apt.packages._inner(packages=["ca-certificates", "curl", "gnupg"], update=True)
    for repository in repositories(settings):
        keyring = f"/etc/apt/keyrings/{repository.name}-apt-keyring.gpg"
        yield from apt.key._inner(src=f"{repository.url}/deb/Release.key", dest=keyring)
        line = f"deb [signed-by={keyring}] {repository.url}/deb/ /\n"
        yield _written(f"/etc/apt/sources.list.d/{repository.name}.list", line)
    yield from apt.packages._inner(packages=packages, update=True)
    # An upgrade of the system must not bring another minor version.
    yield StringCommand("apt-mark", "hold", *packages)


def _from_dnf(settings: Settings, packages: list[str]) -> Commands:
    for repository in repositories(settings):
        yield _written(f"/etc/yum.repos.d/{repository.name}.repo", _section(repository))
    yield from dnf.packages._inner(packages=packages, extra_install_args="--disableexcludes=kubernetes")


def _section(repository: Repository) -> str:
    return render("node.repo.j2", repository=repository)


def _written(path: str, content: str) -> StringCommand:
    return writing([FileSpec(path, content).made()])


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
    # What is started here lives on: it must not inherit the lock of `guard.sh`.
    files = job.sight.hosts[host.name].files
    theirs = [file.path for file in lack.files if file.path in files and not files[file.path].ours]
    kept = "\n".join(f"cp -p {path} {path}.before-etcd-steward" for path in theirs)
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
