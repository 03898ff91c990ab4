"""The `pyinfra` command as users type it, run against the hosts of a lab, and what it said."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.targets import hosts as targets
from tests.targets import mirror
from tests.targets.common import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.targets.hosts import Host, Lab

REPO = Path(__file__).resolve().parents[2]
PYINFRA = Path(sys.executable).with_name("pyinfra")
RUN_SECONDS = 300

_RELEASE = re.compile(r"\b3\.\d+\.\d+\b")
_WANTED = re.compile(r"\betcd_version(?:=|': ')(3\.\d+\.\d+)\b")
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COMMAND = re.compile(r"^\s*\[([^\]]+)\] +>>> ", re.MULTILINE)
_VERDICT = re.compile(r"^\s*\[([^\]]+)\] +(Success|No changes|Error\b.*)$", re.MULTILINE)
# pyinfra's docker connector starts a container that is stopped, so hosts that are down need the ssh connector.
CONNECTORS = ("docker", "ssh")


@dataclass(frozen=True)
class Outcome:
    """What one run of pyinfra ended with."""

    argv: tuple[str, ...]
    rc: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything that was printed."""
        return self.out + self.err

    @cached_property
    def commands(self) -> Counter[str]:
        """How many commands each host was sent; needs -vv."""
        return Counter(_COMMAND.findall(self.err))

    @cached_property
    def verdicts(self) -> Counter[str]:
        """How many operations ended as Success, No changes or Error."""
        return Counter(verdict.partition(":")[0].strip() for _, verdict in _VERDICT.findall(self.err))

    def succeeded(self) -> Outcome:
        """Fail, with all that was said, unless the exit status is 0."""
        assert self.rc == 0, self._told("0")
        return self

    def refused(self, *sentences: str) -> Outcome:
        """Fail unless the run ended non-zero before any host was changed, with these words in its output."""
        self.failed("refused, no host was changed", *sentences)
        assert not self.verdicts["Success"], self._told("no operation that changed something")
        return self

    def failed(self, *sentences: str) -> Outcome:
        """Fail unless the exit status is not 0 and these words were printed."""
        assert self.rc != 0, self._told("another than 0")
        plain = " ".join(self.text.split())
        for sentence in sentences:
            assert sentence in plain, self._told(f"the words {sentence!r}")
        if "--no-wait" not in self.argv:  # there pyinfra itself prints one for every failed host
            assert "Traceback (most recent call last)" not in self.text, self._told("no traceback")
        return self

    def unchanged(self) -> Outcome:
        """Fail unless the run succeeded and every operation said that there was nothing to change."""
        self.succeeded()
        assert set(self.verdicts) == {"No changes"}, self._told("No changes everywhere")
        return self

    def _told(self, wanted: str) -> str:
        return f"found exit status {self.rc}, wanted {wanted}: {' '.join(self.argv)}\n{self.text[-6000:]}"


class Site:
    """An operator's folder: an inventory, `deploys`, and `pki` once there is one.

    Args:
        lab: where the hosts live.
        hosts: the members, in the inventory's order.
        mirror_url: where releases come from.
        folder: empty, the working directory of every run.
        connector: how pyinfra reaches the hosts.
        settings: data of every host.
    """

    def __init__(
        self,
        lab: Lab,
        hosts: Sequence[Host],
        mirror_url: str,
        folder: Path,
        connector: str = "docker",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        assert connector in CONNECTORS
        self.lab, self.hosts, self.folder, self.connector = lab, list(hosts), folder, connector
        self.settings: dict[str, Any] = {
            "etcd_version": mirror.DEFAULT,
            "etcd_mirror": mirror_url,
            "etcd_digests": "mirror",
            "etcd_cache_dir": str(folder.parent / "cache"),
            **(settings or {}),
        }
        # Old releases are known to be harmful.
        newest = self.settings["etcd_version"] in mirror.MODULES
        self.settings.setdefault("etcd_force_version", None if newest else True)
        self.own: dict[str, dict[str, Any]] = {host.name: {} for host in self.hosts}
        self.clients: dict[str, Host] = {}
        self.path = ""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "deploys").symlink_to(REPO / "deploys")

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.py"

    @property
    def pki(self) -> Path:
        """The cluster's folder on the controller."""
        return self.folder / "pki" / "etcd"

    @property
    def everyone(self) -> list[Host]:
        """The inventory's hosts: members, and others."""
        return [*self.hosts, *self.clients.values()]

    def name(self, host: Host) -> str:
        """Say what pyinfra calls a host."""
        return host.name if self.connector == "ssh" else host.docker_name

    def host_named(self, pyinfra_name: str) -> Host:
        return next(host for host in self.everyone if self.name(host) == pyinfra_name)

    def add_client(self, host: Host, **data: Any) -> None:
        """Put a host into the inventory that is no member."""
        self.clients[host.name] = host
        self.own[host.name] = {"etcd_client_of": "etcd", **data}

    def write_inventory(self) -> None:
        """Write the inventory as it follows from the settings; every run does."""
        members = "".join(map(self._line, self.hosts))
        clients = "".join(map(self._line, self.clients.values()))
        self.inventory.write_text(f"etcd = [\n{members}]\nclients = [\n{clients}]\n")

    def _line(self, host: Host) -> str:
        data = host.ssh_data if self.connector == "ssh" else {}
        if host in self.hosts:
            data = {**data, "etcd_name": host.name, "etcd_address": host.address}
        data = {**data, **self.settings, **self.own[host.name]}
        known = {key: value for key, value in data.items() if value is not None}
        return f"    ({self.name(host)!r}, {known!r}),\n"

    def environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(REPO), "PYINFRA_PROGRESS": "off"}
        return {**os.environ, **own, **({"PATH": self.path} if self.path else {})}

    def prepare_releases(self, *arguments: str) -> None:
        """Have the mirror make every release that a run may ask for: a build takes longer than a download may."""
        text = " ".join((self.inventory.read_text(), *arguments))
        named = set(_RELEASE.findall(text))
        releases = mirror.between(named, {program.split()[-1] for program in self.programs})
        mirror.prepare(*releases, architectures=mirror.wanted_architectures())
        used = set(releases) - named | set(_WANTED.findall(text)) & set(releases)
        self.lab.uses({f"etcd {version}": mirror.origin(version) for version in used})

    @property
    def programs(self) -> dict[str, str]:
        """What its hosts may run, and what it is of."""
        return targets.RUNNING.get(self.lab.name, {})

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start pyinfra in a process group of its own.

        Args:
            arguments: options, each as one word (`--limit=n1`), and `deploys/NAME.py`.
            options: for Popen.

        Returns:
            The process.
        """
        self.write_inventory()
        self.prepare_releases(*arguments)
        flags = [argument for argument in arguments if argument.startswith("-")]
        rest = [argument for argument in arguments if argument not in flags]
        argv = [str(PYINFRA), *flags, str(self.inventory.name), *rest]
        return subprocess.Popen(
            argv,
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            **{"stdin": subprocess.DEVNULL, **options},
        )

    def run(self, *arguments: str, input: str | None = None) -> Outcome:  # noqa: A002 - as subprocess names it
        """Run pyinfra to its end."""
        process = self.start(*arguments, **({} if input is None else {"stdin": subprocess.PIPE}))
        out, err = process.communicate(input, timeout=RUN_SECONDS)
        return Outcome(tuple(process.args), process.returncode, _STYLE.sub("", out), _STYLE.sub("", err))

    def etcd(self, *flags: str, **options: Any) -> Outcome:
        """Run deploys/etcd.py."""
        return self.run(*flags, "deploys/etcd.py", **options)

    def etcdctl(self, host: Host, *arguments: str, check: bool = True) -> str:
        """Run etcdctl as an operator's login shell on the host does, against its own endpoint."""
        command = '. /etc/profile.d/etcdctl.sh; ETCDCTL_ENDPOINTS=$1; shift; exec etcdctl "$@"'
        endpoint = f"https://{self.address(host)}:2379"
        done = host.run("sh", "-c", command, "sh", endpoint, *arguments, check=False)
        assert not check or done.returncode == 0, describe(" ".join(arguments), done)
        return done.stdout if check else done.stdout + done.stderr

    def address(self, host: Host) -> str:
        """The host's address as a URL has it."""
        address = str(self.own[host.name].get("etcd_address") or host.address)
        return f"[{address}]" if ":" in address else address

    def put(self, host: Host, key: str, value: str) -> None:
        assert self.etcdctl(host, "put", key, value) == "OK\n"

    def get(self, host: Host, key: str) -> str:
        return self.etcdctl(host, "get", "--print-value-only", key).strip()

    def log(self, host: Host) -> list[str]:
        """Read what etcd logged on a host, as lines of JSON; busybox's syslog cuts the longest ones."""
        command = {
            "systemd": "journalctl -u etcd -o cat",
            "openrc": "cat /var/log/messages.0 /var/log/messages",
        }[host.init]
        lines = host.run(command, check=False).stdout.splitlines()  # there may be no rotated one
        return ["{" + line.partition("{")[2] for line in lines if '{"level":' in line]

    def status(self, host: Host) -> dict[str, Any]:
        """Ask a member for its own status."""
        return json.loads(self.etcdctl(host, "endpoint", "status", "-w", "json"))[0]["Status"]

    def cluster_ids(self) -> set[int]:
        """Ask every member for its cluster's id, after proving that each is healthy."""
        for host in self.hosts:
            self.etcdctl(host, "endpoint", "health")
        return {self.status(host)["header"]["cluster_id"] for host in self.hosts}

    def pid(self, host: Host) -> int:
        """Find the member's process; 0 where none runs."""
        listed = host.run("ps -eo pid,args 2>/dev/null || ps -o pid,args").stdout.splitlines()
        found = [
            line.split() for line in listed if "/etcd --config-file=" in line and "supervise" not in line
        ]
        return int(found[0][0]) if found else 0

    def processes(self) -> dict[str, str]:
        """Tell each member's process id and start time, to see whether anything was restarted."""
        found = "cut -d ' ' -f 1,22 /proc/{}/stat"
        return {host.name: host.run(found.format(self.pid(host)), check=False).stdout for host in self.hosts}

    def footprint(self, host: Host) -> str:
        """List every file that this package could write on a host, with its time of change."""
        folders = "/etc/etcd /etc/etcd-steward /opt/etcd /usr/local/bin /etc/init.d /etc/systemd/system /etc/profile.d"
        return host.run(
            f"find {folders} -exec stat -c '%n %z %a %U %s' {{}} + 2>/dev/null | sort", check=False
        ).stdout
