"""Containers that behave like servers: an init as PID 1, a fixed name and address, power cuts, cut cables."""

from __future__ import annotations

import os
import random
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from . import images, keys
from .bases import FAMILIES
from .common import CACHE, CommandError, describe, docker, run, wait_until
from .leftovers import KEPT, LAB_LABEL, OWNER_LABEL, remove, remove_leftovers, started_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BOOT_SECONDS = 90

OPEN: dict[str, set[str]] = {}  # families of each open lab
SEEN: set[str] = set()  # families started since the test began: its result line names them
# What hosts of each open lab may run, such as "etcd 3.6.16", and what it is of; and what the test used since it began.
RUNNING: dict[str, dict[str, str]] = {}
USED: dict[str, str] = {}

# Unprivileged, and the same on cgroup v1 and v2. OpenRC must not see the host's cgroups: it would move its
# services out of the container's. systemd needs them, in the host's namespace.
INIT_FLAGS = {
    "openrc": ["--tmpfs", "/run", "--tmpfs", "/sys/fs/cgroup"],
    "systemd": [
        "--cgroupns", "host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw",
        "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec",
    ],
}  # fmt: skip
# A kubelet makes groups, mounts and containers: in a cgroup namespace of the container's own, so that all of it goes
# with the container (tests/targets/kubelet/init). The machine's groups are not mounted: systemd would write into them.
KUBELET_FLAGS = [
    "--cgroupns", "private", "--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE",
    "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--device", "/dev/kmsg",
    "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec",
    "-v", "/var/lib/containerd", "-v", "/var/lib/kubelet",
]  # fmt: skip
# In containers without rights systemd leaves out what a unit asks for: ProtectSystem and the like need mounts, and Docker
# lets every account bind every port. With these a unit's protection is in force, as on a server, and root may look at it.
PROTECTED_FLAGS = [
    "--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
    "--sysctl", "net.ipv4.ip_unprivileged_port_start=1024",
]  # fmt: skip
BOOTED = {
    "openrc": '[ "$(cat /run/openrc/softlevel)" = default ] && ! [ -e /run/openrc/rc.starting ]',
    "systemd": "systemctl is-system-running | grep -qE '^(running|degraded)$'",
}


@dataclass
class Host:
    """One container of a lab; `address` is fixed and survives restarts."""

    name: str
    family: str
    address: str
    container: str
    network: str
    known_hosts: Path

    def run(
        self,
        *argv: str,
        check: bool = True,
        input: str | None = None,  # noqa: A002  # the name that subprocess gives it
        user: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root unless told otherwise; a single argument is a shell script.

        Raises:
            CommandError: it ended with another status than 0 and check is true.
        """
        command = argv if len(argv) > 1 else ("sh", "-c", argv[0])
        options = [*(["-i"] if input is not None else []), *(["-u", user] if user else [])]
        done = run("docker", "exec", *options, self.container, *command, check=False, input=input)
        if check and done.returncode != 0:
            raise CommandError(f"{self.name}: {describe(' '.join(argv), done)}")
        return done

    def ssh(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell script as `deploy` over ssh."""
        options = [f"UserKnownHostsFile={self.known_hosts}", "StrictHostKeyChecking=yes", "BatchMode=yes"]
        flags = [part for option in options for part in ("-o", option)]
        return run(
            "ssh",
            "-F",
            "/dev/null",
            *flags,
            "-i",
            keys.private("deploy"),
            f"deploy@{self.address}",
            script,
            check=check,
        )

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file as root, making its folder when it is missing."""
        data = content.encode() if isinstance(content, str) else content
        script = f'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod {mode:o} "$1"'
        argv = ["docker", "exec", "-i", self.container, "sh", "-c", script, "sh", path]
        done = subprocess.run(argv, input=data, capture_output=True, check=False)
        if done.returncode != 0:
            raise CommandError(f"{self.name}: {path}: {done.stderr.decode()}")

    def read(self, path: str) -> str:
        return self.run("cat", path).stdout

    def exists(self, path: str) -> bool:
        return self.run("test", "-e", path, check=False).returncode == 0

    def kill(self) -> None:
        """Cut the power."""
        docker("kill", self.container)

    def stop(self) -> None:
        """Shut down as an operator would (about 5 s on Alpine)."""
        docker("stop", self.container)

    def start(self) -> None:
        """Switch on and wait until it has booted."""
        docker("start", self.container)
        self.wait_booted()

    def disconnect(self) -> None:
        """Pull the network cable."""
        docker("network", "disconnect", self.network, self.container)

    def connect(self) -> None:
        """Plug the network cable back in."""
        docker("network", "connect", "--ip", self.address, "--alias", self.name, self.network, self.container)

    def pause(self) -> None:
        """Freeze every process."""
        docker("pause", self.container)

    def unpause(self) -> None:
        docker("unpause", self.container)

    def in_network(self, *argv: str) -> str:
        """Run a tool of this machine (iptables, ip, tc) in the container's network; needs root here."""
        pid = docker("inspect", "-f", "{{.State.Pid}}", self.container)
        return run("nsenter", "-t", pid, "-n", *argv).stdout

    @property
    def address6(self) -> str:
        """Give its IPv6 address, in a lab that has them."""
        return _ipv6(self.address)

    @property
    def init(self) -> str:
        return FAMILIES[self.family].init

    @property
    def has_ssh(self) -> bool:
        """Say whether an sshd runs; emulated targets are reached by docker exec."""
        return FAMILIES[self.family].architecture == "amd64"

    @cached_property
    def ssh_data(self) -> dict[str, Any]:
        """Give pyinfra's host data for its ssh connector."""
        return {
            "ssh_hostname": self.address,
            "ssh_user": "deploy",
            "ssh_key": str(keys.private("deploy")),
            "ssh_known_hosts_file": str(self.known_hosts),
            "ssh_strict_host_key_checking": "yes",
            "ssh_allow_agent": False,
            "ssh_look_for_keys": False,
            "_sudo": True,
        }

    @property
    def docker_name(self) -> str:
        """Give pyinfra's inventory name for its docker connector."""
        return f"@docker/{self.container}"

    def wait_booted(self) -> None:
        """Wait until the init system has started everything and sshd greets."""
        wait_until(f"finished boot of {self.name}", self._booted, BOOT_SECONDS)
        if self.has_ssh:
            wait_until(f"sshd on {self.name}", self._greets, BOOT_SECONDS)

    def _booted(self) -> bool:
        if docker("inspect", "-f", "{{.State.Running}}", self.container) != "true":
            raise CommandError(
                f"{self.name}: the container ended during boot:\n{docker('logs', self.container)}"
            )
        return self.run(BOOTED[self.init], check=False).returncode == 0

    def _greets(self) -> bool:
        try:
            with socket.create_connection((self.address, 22), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


@cache
def why_no_kubelet() -> str:
    """Say why a container of this machine cannot host a kubelet; empty where it can.

    What a kubelet does at first is tried: writable groups, a mount of its own, and a layered file system.
    """
    if not Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists():
        return "this machine's kernel has no br_netfilter loaded"
    script = (
        "sed -i 's,^exec .*,,' /sbin/init-kubelet && /sbin/init-kubelet && cd /sys/fs/cgroup && "
        "mkdir $([ -d memory ] && echo memory/)tried && cd /var/lib/kubelet && mkdir a b c d && "
        "mount -t overlay -o lowerdir=a,upperdir=b,workdir=c none d"
    )
    argv = ("run", "--rm", *KUBELET_FLAGS, "--entrypoint", "sh", images.build("kubelet"), "-c", script)
    done = run("docker", *argv, check=False)
    return "" if done.returncode == 0 else describe("docker run (a host for a kubelet)", done)


def _ipv6(address: str) -> str:
    """Give the IPv6 address that goes with an address: a network of its own in fd00:c612::/32 for each lab."""
    *_, lab, host = address.split(".")
    return f"fd00:c612:{int(lab):x}::{int(host):x}".replace("::0", "::")


class Lab:
    """A network of its own in 198.18.0.0/16 with hosts in it; leaving it removes exactly these."""

    def __init__(
        self, name: str, subnet: str | None = None, *, keep: bool = False, ipv6: bool = False
    ) -> None:
        """Describe a lab.

        Args:
            name: unique among the labs of this machine.
            subnet: such as 198.18.7.0/24; by default a free one.
            keep: leave it running when its block ends; `python -m tests.targets clean NAME` removes it.
            ipv6: give every host a unique local IPv6 address too.
        """
        self.name = name
        self.hosts: dict[str, Host] = {}
        self._subnet = subnet
        self._keep = keep
        self._ipv6 = ipv6
        self._owner = KEPT if keep else f"{os.getpid()}:{started_at(os.getpid())}"
        self._known_hosts = CACHE / "labs" / f"{name}.known_hosts"

    def __enter__(self) -> Self:
        remove_leftovers(self.name)
        subnets = (
            [self._subnet] if self._subnet else [f"198.18.{n}.0/24" for n in random.sample(range(256), 256)]
        )
        labels = ("--label", f"{LAB_LABEL}={self.name}", "--label", f"{OWNER_LABEL}={self._owner}")
        for subnet in subnets:
            ranges = ["--subnet", subnet]
            if self._ipv6:
                ranges += ["--ipv6", "--subnet", f"{_ipv6(subnet.partition('/')[0])}/64"]
            created = run("docker", "network", "create", *ranges, *labels, self.network, check=False)
            if created.returncode == 0:
                self._subnet = subnet
                self._known_hosts.parent.mkdir(parents=True, exist_ok=True)
                self._known_hosts.write_text("")
                return self
            if "overlap" not in created.stderr:
                break
        raise CommandError(f"lab {self.name}: {created.stderr.strip()}")

    def __exit__(self, *_: object) -> None:
        if not self._keep:
            self.close()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    @property
    def network(self) -> str:
        return f"etcd-steward-{self.name}"

    def start(
        self,
        hosts: Mapping[str, str] | Iterable[tuple[str, str]],
        *,
        mounts: Sequence[str] = (),
        extra_args: Mapping[str, Sequence[str]] | Sequence[str] = (),
    ) -> list[Host]:
        """Start hosts at once and wait until all have booted.

        Args:
            hosts: name to family, in the order of their addresses (.11, .12, …).
            mounts: arguments of `docker run --mount`, for each host.
            extra_args: further arguments of `docker run`, for each host or by host name.

        Returns:
            The new hosts, in order.
        """
        wanted = dict(hosts)
        images.build_all(sorted(set(wanted.values())))
        OPEN[self.name] = OPEN.get(self.name, set()) | set(wanted.values())
        SEEN.update(wanted.values())
        prefix = str(self._subnet).rsplit(".", 1)[0]
        new = []
        for name, family in wanted.items():
            address = f"{prefix}.{11 + len(self.hosts)}"
            host = Host(name, family, address, f"{self.name}-{name}", self.network, self._known_hosts)
            self.hosts[name] = host
            new.append(host)
        public = keys.public("host").read_text().rsplit(maxsplit=1)[0]
        self._known_hosts.write_text("".join(f"{host.address} {public}\n" for host in self.hosts.values()))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda host: self._start(host, mounts, extra_args), new))
            list(pool.map(Host.wait_booted, new))
        return new

    def _start(
        self, host: Host, mounts: Sequence[str], extra: Mapping[str, Sequence[str]] | Sequence[str]
    ) -> None:
        family = FAMILIES[host.family]
        own = extra.get(host.name, ()) if isinstance(extra, dict) else extra
        docker(
            "run", "-d", "--name", host.container, "--hostname", host.name,
            "--label", f"{LAB_LABEL}={self.name}", "--label", f"{OWNER_LABEL}={self._owner}",
            "--network", self.network, "--ip", host.address, "--network-alias", host.name,
            *(["--ip6", host.address6] if self._ipv6 else []),
            *[f"--add-host={other.name}:{other.address}" for other in self.hosts.values()],
            "--platform", f"linux/{family.architecture}",
            *(KUBELET_FLAGS if family.kubelet else INIT_FLAGS[family.init]),
            *[part for mount in mounts for part in ("--mount", mount)], *own,
            images.build(host.family),
        )  # fmt: skip

    def uses(self, programs: Mapping[str, str]) -> None:
        """Note what the hosts run, for the result lines of all tests on them.

        Args:
            programs: such as "etcd 3.6.16", and what each is of, such as "Go modules".
        """
        RUNNING.setdefault(self.name, {}).update(programs)
        USED.update(programs)

    def close(self) -> None:
        """Remove the containers and the network."""
        remove(f"{LAB_LABEL}={self.name}")
        self._known_hosts.unlink(missing_ok=True)
        self.hosts.clear()
        OPEN.pop(self.name, None)
        RUNNING.pop(self.name, None)
