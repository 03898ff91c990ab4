"""Writes flannel's configuration into etcd, and proves that the network holds, while a run is executed."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gevent

from etcd_steward.cli_mode import one_by_one
from etcd_steward.flannel import fits
from etcd_steward.flannel_host import device, port
from etcd_steward.flannel_leases import Keys, Lease, SubnetFile, lease_of, read_subnet_file
from etcd_steward.flannel_run import read_answer
from etcd_steward.observed import Service
from etcd_steward.parsing import read_service
from etcd_steward.platforms import INITS
from etcd_steward.shell import Script, script
from etcd_steward.talk import ask

if TYPE_CHECKING:
    from pyinfra.api import Host

    from etcd_steward.flannel_run import FlannelRun

__all__ = ["prove", "write"]

# A new route to a neighbour takes a moment; a closed port stays closed.
_ECHO_SECONDS = 20


def write(run: FlannelRun, host: str) -> str:
    """Write the network configuration, unless somebody else has changed it since it was seen, and read it back.

    Args:
        run: the run of the network.
        host: the host that writes it, with flannel's own files.

    Returns:
        What went wrong; empty where it stands there.
    """
    question = run.asking(
        host,
        "guard.sh",
        "flannel-put.sh",
        name=run.config_key,
        literal=json.dumps(run.config),
        revision=str(run.keys.revision),
    )
    lines = ask(run.run, host, question)
    said = next(
        (line.partition(" ")[2].strip() for line in lines if line.startswith(("put ", "refused "))),
        "no answer",
    )
    keys, problem = read_answer(run.network.etcd_flannel_prefix, lines)
    found = keys.config if keys else None
    if found == run.config and said.startswith("SUCCESS"):
        return ""
    there = f"nothing ({problem or said})" if found is None else f"{found} ({said})"
    return (
        f"found {there} in {run.config_key} after writing it, wanted {run.config}; next: run again, as somebody else "
        "may have written it; where etcd's authentication is on, give flannel's user a role for that prefix"
    )


@dataclass(frozen=True)
class _Ready:
    service: Service
    subnet: SubnetFile | None
    addresses: tuple[str, ...]
    device: bool
    keys: Keys | None
    problem: str

    @property
    def up(self) -> bool:
        """Whether flanneld runs, and has reported under systemd that it has a lease."""
        return self.service.word.startswith(("active ", "started"))


def prove(run: FlannelRun, host: Host) -> tuple[str, str]:
    """Wait for the leases, then ask the other hosts for an echo over the network.

    Args:
        run: the run of the network.
        host: from where.

    Returns:
        What is wrong, or an empty text and then what was proved.
    """
    settings, begun = run.settings[host.name], time.monotonic()
    while True:
        ready = _look(run, host.name)
        lease = lease_of(ready.keys.leases if ready.keys else (), ready.subnet, ready.addresses)
        if lease is not None and not (ready.up and fits(settings, lease.subnet)):
            lease = None
        others = _others(run, host.name, ready)
        lacking = [name for name, held in others.items() if held is None and name in _awaited(run, host)]
        if lease is not None and not lacking:
            break
        spent = time.monotonic() - begun
        if spent >= settings.etcd_timeout:
            return _without(run, host, lease, lacking, ready), ""
        awaited = "its own lease" if lease is None else f"the lease of {', '.join(lacking)}"
        host.log(f"waiting for {awaited}: {spent:.0f} s of {settings.etcd_timeout} s")
        gevent.sleep(0.5)
    held = {name: other.device_address for name, other in others.items() if other is not None}
    if not ready.device:
        told = f"no device {device(settings)} on this host, so the way to the others is not proved"
        host.log_styled(f"skipped: {told}", fg="yellow")
        return "", f"holds {lease.subnet}; {told}"
    silent = _echoes(run, host.name, held)
    if silent is None:
        return "found no ping, wanted it, to ask the other hosts for an echo; next: install it (iputils)", ""
    if silent:
        named = ", ".join(f"{address} ({name})" for name, address in silent.items())
        cure = f"open UDP {port(settings)} between the hosts, and look at `ip -d link show {device(settings)}` and `ip route`"
        return f"found no echo from {named} over flannel, wanted one from each; next: {cure}", ""
    return "", f"holds {lease.subnet}, and {len(held)} others answer over flannel"


def _look(run: FlannelRun, host: str) -> _Ready:
    settings = run.settings[host]
    prefix = settings.etcd_flannel_prefix
    question = run.asking(
        host,
        "service.sh",
        "flannel-ready.sh",
        prefix=prefix,
        device=device(settings),
        service=settings.etcd_flannel_service,
    )
    lines = ask(run.run, host, question)
    keys, problem = read_answer(prefix, lines)
    told = [line.partition(" ")[::2] for line in lines]
    init = next((rest for word, rest in told if word == "init"), "")
    return _Ready(
        service=read_service(init, [rest for word, rest in told if word == "service"]),
        subnet=read_subnet_file(rest for word, rest in told if word == "env"),
        addresses=tuple(rest.partition(" ")[2] for word, rest in told if word == "address"),
        device=any(word == "device" for word, _ in told),
        keys=keys,
        problem=problem,
    )


def _others(run: FlannelRun, host: str, ready: _Ready) -> dict[str, Lease | None]:
    """Find the lease of every other host of the network by the addresses that were seen there."""
    # A lease of an earlier configuration lives on for up to a day.
    leases = [one for one in (ready.keys.leases if ready.keys else ()) if fits(run.network, one.subnet)]
    return {
        name: next((one for one in leases if one.address in set(seen.own_addresses)), None)
        for name, seen in run.seen.items()
        if name != host
    }


def _awaited(run: FlannelRun, host: Host) -> set[str]:
    """Name the hosts whose lease can be waited for: those that are worked on side by side, and have not failed."""
    if one_by_one():
        return set()
    return set(run.wanted) - set(run.run.failures.hosts) - {one.name for one in host.state.failed_hosts}


def _without(run: FlannelRun, host: Host, lease: Lease | None, lacking: list[str], ready: _Ready) -> str:
    settings = run.settings[host.name]
    seconds = settings.etcd_timeout
    if lease is not None:
        return (
            f"found no lease of {', '.join(lacking)} in {settings.etcd_flannel_prefix}/subnets after {seconds} s, wanted one "
            "of every host; next: see what is said of that host"
        )
    told = f"{ready.subnet.subnet} in subnet.env" if ready.subnet else "no new /run/flannel/subnet.env"
    told = f"{settings.etcd_flannel_service} {ready.service.word}, {told}"
    logs = INITS[run.seen[host.name].init].logs.format(name=settings.etcd_flannel_service)
    said = ask(run.run, host.name, Script("log", f"{{ {logs}; }} 2>/dev/null | tail -n 1"))
    last = f"; flanneld's last words: {said[-1][:300]}" if said else ""
    why = f"; etcd: {ready.problem}" if ready.problem else ""
    return (
        f"found no lease of this host in {settings.etcd_flannel_prefix}/subnets after {seconds} s ({told}{why}{last}), wanted "
        f"one; next: look at flanneld's log ({logs})"
    )


def _echoes(run: FlannelRun, host: str, held: dict[str, str]) -> dict[str, str] | None:
    """Return the hosts that gave no echo, with their addresses; None where this host has no ping."""
    silent, begun = dict(held), time.monotonic()
    while silent:
        for line in ask(run.run, host, script("flannel-ping.sh", addresses=list(silent.values()))):
            if line == "no ping":
                return None
            address = line.partition(" ")[2]
            silent = {name: one for name, one in silent.items() if one != address}
        if time.monotonic() - begun >= _ECHO_SECONDS:
            break
    return silent
