"""flannel on a host: its programs, what the kernel needs, the network configuration in etcd, the service, and the proof."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FileUploadCommand, FunctionCommand, Host, State, StringCommand, operation

from etcd_steward import flannel_host, flannel_proof
from etcd_steward.failing import fail, failing
from etcd_steward.operations.files import show_differences, writing
from etcd_steward.platforms import FIREWALLS, INITS
from etcd_steward.shell import KEPT, script
from etcd_steward.uploads import uploaded

if TYPE_CHECKING:
    from etcd_steward.flannel_run import FlannelRun
    from etcd_steward.shell import Content

__all__ = ["configured", "prepared", "proved", "staged", "started"]

Commands = Generator[StringCommand | FileUploadCommand | FunctionCommand, None, None]


@operation()
def staged(run: FlannelRun) -> Commands:
    """
    Put a release of flannel beside others, without using it yet.

    + run: the run of this network
    """
    host = context.host
    settings = run.settings[host.name]
    version, folder = settings.etcd_flannel_version, settings.etcd_flannel_dir
    if not run.work(host.name).stage:
        host.noop(f"flannel {version} is already in {folder}")
        return
    if not host.state.is_executing:
        yield StringCommand("# stage flannel", version)
        return
    name = f"flannel-v{version}.tar.gz"
    yield from uploaded(run.archive(host), "flannel-unpack.sh", folder, name, "an archive", version=version)


@operation()
def prepared(run: FlannelRun) -> Commands:
    """
    Load kernel modules and turn forwarding on, both to last over a reboot; open the port where that is asked for.

    + run: the run of this network
    """
    host = context.host
    left = run.work(host.name)
    if not left.prepare:
        host.noop("kernel and firewall are already as flannel needs them")
        return
    show_differences(left.kernel)
    if not host.state.is_executing:
        told = [*(file.path for file in left.kernel), *left.modules, *left.sysctls, left.firewall]
        yield StringCommand("# prepare", *filter(None, told))
        return
    after = [script("flannel-kernel.sh", modules=left.modules, sysctls=left.sysctls) + ""]
    if left.firewall:
        after.append(FIREWALLS[left.firewall].format(port=flannel_host.port(run.settings[host.name])))
    yield writing(list(left.kernel), _keeping(run, host, left.kernel), "\n".join(after))


@operation()
def configured(run: FlannelRun) -> Commands:
    """
    Write the network configuration into etcd before any flanneld starts, over exactly what was seen there; read it back.

    + run: the run of this network
    """
    host = context.host
    if not run.config_due:
        host.noop("the network configuration is already in etcd")
        return
    if not host.state.is_executing:
        yield StringCommand("# write", run.config_key, run.config)
        return
    yield FunctionCommand(_configure, (run,), {})


def _configure(state: State, host: Host, run: FlannelRun) -> bool:
    # All hosts come here, as any of them may be the first; the write is one.
    problem: str = run.run.once("flannel's configuration", lambda: flannel_proof.write(run, host.name))
    return fail(state, host, problem) if problem else True


@operation()
def started(run: FlannelRun) -> Commands:
    """
    Install flannel's service and the container runtime's glue; start it, or start it anew where it runs with something else.

    + run: the run of this network
    """
    host = context.host
    left = run.work(host.name)
    if not left.serve:
        host.noop("flanneld already runs as it should")
        return
    show_differences(left.files)
    settings, init = run.settings[host.name], INITS[run.seen[host.name].init]
    if not host.state.is_executing:
        yield StringCommand("# start flanneld", *(file.path for file in left.files))
        return
    after = []
    if left.link:
        release = f"{settings.etcd_flannel_dir}/{settings.etcd_flannel_version}"
        links = script(
            "link.sh",
            bin_dir=settings.etcd_flannel_bin_dir,
            release=release,
            tools=flannel_host.PROGRAMS,
        )
        after.append(links + "")
    steps = [init.load] if left.files or run.seen[host.name].service.reload_due else []
    steps += [init.enable] if left.enable else []
    steps += [init.stop] if left.start and run.seen[host.name].service.running else []
    steps += [init.start] if left.start else []
    # What a service manager starts lives on: it must not inherit the lock of `guard.sh`.
    after += [f"{{ {step.format(name=settings.etcd_flannel_service)}; }} 9>&-" for step in steps]
    if any(file.path == flannel_host.DOCKER_DROP_IN for file in left.files):
        host.log(
            "docker takes flannel's options when it is started next: restart it when its containers may stop"
        )
    yield writing(list(left.files), _keeping(run, host, left.files), "\n".join(after))


def _keeping(run: FlannelRun, host: Host, files: Sequence[Content]) -> str:
    """Write shell that keeps a copy of what somebody else wrote where these files go."""
    there = run.seen[host.name].files
    strangers = [file.path for file in files if file.path in there and not there[file.path].ours]
    return script("kept.sh", strangers=strangers, aside=KEPT) + "" if strangers else ""


@operation()
def proved(run: FlannelRun) -> Commands:
    """
    Wait until every host holds a lease in etcd, and ask all flannel addresses of the others for an echo.

    + run: the run of this network
    """
    host = context.host
    if not host.state.is_executing:
        host.noop("is proved when it is executed")
        return
    problem, told = flannel_proof.prove(run, host)
    if problem:
        yield failing(problem)
        return
    host.noop(told)
