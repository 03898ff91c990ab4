"""k3s servers whose data is in a cluster: what their hosts need, and one server after the other."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward import k3s
from etcd_steward.failing import fail, failing
from etcd_steward.k3s_look import CONFIG, reads
from etcd_steward.operations.files import show_differences, writing
from etcd_steward.platforms import INITS
from etcd_steward.shell import Content, script
from etcd_steward.talk import ask

if TYPE_CHECKING:
    from etcd_steward.k3s_servers import Servers

__all__ = ["cgroups", "turn"]

Commands = Generator[StringCommand | FunctionCommand, None, None]


@operation()
def cgroups(servers: Servers) -> Commands:
    """
    Let the kernel of a Raspberry Pi have the cgroups that k3s needs from its next boot on; it is never rebooted here.

    + servers: the k3s servers of the cluster
    """
    host = context.host
    look = servers.looks[host.name]
    before = "\n".join(look.line)
    try:
        after = k3s.command_line(before) if look.line_file else before
    except ValueError as error:
        yield failing(f"found {error}; next: correct {look.line_file[0]}, then reboot this host")
        return
    lacking = not look.memory and "active" not in look.service
    if after == before and not lacking:
        host.noop("the kernel has the cgroups that k3s needs")
        return
    if after != before:
        path, mode, owner = look.line_file
        if not host.state.is_executing:
            yield StringCommand("# add cgroups to", path)
        else:
            opened = script("boot.sh", file=path) + ""
            yield writing([Content(path, after, mode, owner)], opened, "close_boot")
            host.log(f"{path} is written; it takes effect with the next boot, which is left to you")
    if lacking and host.state.is_executing:
        yield failing(
            "found no memory controller among the kernel's cgroups, wanted it, as k3s does not run without; next: "
            + (
                "reboot this host (one after the other where they are members), then run again"
                if look.line_file
                else "boot with cgroup_enable=memory, then run again"
            )
        )


@operation()
def turn(servers: Servers) -> Commands:
    """
    Bring one k3s server to what is wanted and wait until its API server is ready; the next one waits for it.

    + servers: the k3s servers of the cluster
    """
    host = context.host
    left = servers.left(host.name)
    if not left:
        host.noop("k3s is as it should be, and ready")
        return
    due = servers.due(host.name)
    show_differences([file for file in due if file.path != CONFIG])
    if not host.state.is_executing:
        yield StringCommand("# k3s:", ", ".join(left))
        return
    run = servers.client.run
    with run.rollout.turn(host.name, "k3s") as refused:
        if refused:
            yield failing(refused)
            return
        host.log(f"k3s: {', '.join(left)}")
        try:
            token = servers.made_token()
        except (OSError, ValueError) as error:
            yield failing(f"found {error}")
            return
        lacking = {file.path for file in due}
        files = [file for file in servers.files(host.name, token) if file.path in lacking]
        yield _switch(servers, host.name, files)
        yield FunctionCommand(_await_ready, (servers,), {})


def _switch(servers: Servers, name: str, files: list[Content]) -> StringCommand:
    look, own = servers.looks[name], servers.settings[name]
    init = INITS[look.init]
    load, enable, start, stop = (
        # What a service manager starts lives on: it must not inherit the lock of `guard.sh`.
        f"{{ {command.format(name='k3s')}; }} 9>&-"
        for command in (init.load, init.enable, init.start, init.stop)
    )
    strangers = [path for path in look.strange if path in {file.path for file in files}]
    release = servers.release_path(name).rpartition("/")[0]
    changed = f'if [ "$(noted)" != "$(cat /run/k3s.started-with 2>/dev/null)" ]; then\n{stop}\n{start}\nfi'
    parts = [
        script("link.sh", bin_dir=own.etcd_k3s_bin_dir, release=release, tools="k3s") + ""
        if look.link != servers.release_path(name)
        else "",
        script("k3s-links.sh", bin_dir=own.etcd_k3s_bin_dir) + "",
        load,
        enable,
        script("k3s-noted.sh", **reads(own)) + "",
        changed if "active" in look.service else start,
    ]
    return writing(files, script("kept.sh", strangers=strangers) + "", "\n".join(filter(None, parts)))


def _await_ready(state: State, host: Host, servers: Servers) -> bool:
    """Wait until the API server of a host answers, saying so at least every ten seconds."""
    seconds = servers.settings[host.name].etcd_k3s_timeout
    begun = time.monotonic()
    while True:
        left = seconds - (time.monotonic() - begun)
        question = script(
            "k3s-ready.sh", program=servers.program(host.name), seconds=max(1, min(8, int(left)))
        )
        said = next(iter(ask(servers.client.run, host.name, question)), "waiting no answer").partition(" ")
        if said[0] == "ready":
            return True
        spent = time.monotonic() - begun
        if spent >= seconds:
            return fail(
                state,
                host,
                f"found a k3s that is not ready after {seconds} s ({said[2][:300]}), wanted its API server to answer; "
                "next: look into its log, then run again",
            )
        host.log(f"waiting for k3s to be ready: {spent:.0f} s of {seconds} s ({said[2][:120]})")
