"""What one look at a host told of flannel there, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from etcd_steward.addresses import Held, read_held
from etcd_steward.docker_unit import Docker, parse_unit
from etcd_steward.flannel_leases import SubnetFile, read_subnet_file
from etcd_steward.neighbours import Neighbour
from etcd_steward.neighbours import read as read_neighbours
from etcd_steward.observed import File, Service
from etcd_steward.parsing import read_service, whole_line

__all__ = ["Seen", "parse_look"]

# Devices whose addresses come from flannel itself, or from a runtime that it tells of them.
_OVERLAY = ("flannel", "cni", "docker")


@dataclass(frozen=True)
class Seen:
    """What one look at a host told; `reached` is False where it told nothing.

    Args:
        problem: why it told nothing.
        uid: who asked.
        machine: as `uname -m` prints it.
        init: systemd, openrc or none.
        releases: releases of flannel that lie there.
        links: where the links to its programs lead.
        files: digests of managed files.
        modules: modules that are loaded.
        sysctls: values by path below /proc/sys.
        boot: values that files give them at the next boot, and which file does.
        firewall: name of an active firewall.
        open: whether that lets flannel's port through.
        service: flannel's service.
        started: digest of what the running process was started with.
        started_pair: digest of the certificate that it was started with.
        certificate: PEM of the certificate that lies there.
        subnet: what it tells of its part of the network.
        held: the host's addresses.
        device: whether there is flannel's device.
        tools: programs that flannel or a runtime needs.
        docker: docker's unit, where its glue is asked for.
        beside: what docker reads beside its flags, likewise.
        cni: lists of networks for container runtimes, where that glue is asked for.
    """

    reached: bool = False
    problem: str = "no answer"
    uid: int = -1
    machine: str = ""
    init: str = "none"
    releases: frozenset[str] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    boot: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    firewall: str = ""
    open: bool = False
    service: Service = field(default_factory=Service)
    started: str = ""
    started_pair: str = ""
    certificate: str = ""
    subnet: SubnetFile | None = None
    held: tuple[Held, ...] = ()
    device: bool = False
    tools: frozenset[str] = frozenset()
    docker: Docker = field(default_factory=Docker)
    beside: tuple[Neighbour, ...] = ()
    cni: tuple[str, ...] = ()

    @property
    def own_addresses(self) -> list[str]:
        """The host's addresses, without those that flannel or a container runtime gave it."""
        return [one.address for one in self.held if not one.interface.startswith(_OVERLAY)]


def parse_look(lines: Sequence[str]) -> Seen:
    """Read the lines of `templates/flannel-look.sh`.

    Args:
        lines: what it printed.

    Returns:
        What was seen; not reached where the lines do not end as they should, since half an answer is none.
    """
    if not lines or lines[0] != "look 1" or lines[-1] != "end":
        return Seen(problem="the answer was cut short" if lines else "no answer")
    told: dict[str, list[str]] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        told.setdefault(word, []).append(rest)
    firewall = told.get("firewall", [""])[0].partition(" ")
    started = [*told.get("started", ()), "", ""]
    return Seen(
        reached=True,
        problem="",
        uid=int(told["uid"][0]),
        machine=told["machine"][0],
        init=told["init"][0],
        releases=frozenset(told.get("release", ())),
        links=dict(line.split(" ", 1) for line in told.get("link", ())),
        files={
            path: File(digest, mode, owner, path not in told.get("unmarked", ()))
            for digest, mode, owner, path in (line.split(" ", 3) for line in told.get("file", ()))
        },
        modules=frozenset(told.get("module", ())),
        sysctls=dict(line.split(" ", 1) for line in told.get("sysctl", ()) if " " in line),
        boot={
            name: (value, file)
            for name, value, file in (
                line.split(" ", 2) for line in told.get("boot", ()) if line.count(" ") > 1
            )
        },
        firewall=firewall[0],
        open=firewall[2] == "yes",
        service=read_service(told["init"][0], told.get("service", [])),
        started=started[0],
        started_pair=started[1],
        certificate="".join(f"{whole_line(line)}\n" for line in told.get("pem", ())),
        subnet=read_subnet_file(told.get("env", ())),
        held=read_held(told.get("address", ())),
        device="device" in told,
        tools=frozenset(told.get("tool", ())),
        docker=parse_unit(told.get("docker", ()), told.get("program", ())),
        beside=read_neighbours(told.get("beside", ())),
        cni=tuple(told.get("cni", ())),
    )
