"""A pretended cluster: what its hosts answer to the probe, and a run over them with pyinfra's real engine."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from gevent.event import Event
from pyinfra import logger
from pyinfra.api import Config, DeployError, Inventory, State
from pyinfra.api.arguments import all_global_arguments
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.connectors import get_all_connectors
from pyinfra.api.deploy import add_deploy
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.connectors.fake import FakeConnector
from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.context import ctx_host, ctx_state

from etcd_steward import versions
from etcd_steward.authority import Authorities, Store
from etcd_steward.credentials import Credentials
from etcd_steward.desired import Desired, desired
from etcd_steward.node import MODULES, SYSCTLS, node_files
from etcd_steward.observed import HostState, see_cluster
from etcd_steward.parsing import parse_probe
from etcd_steward.pki import issue
from etcd_steward.raft_snapshots import frequent
from etcd_steward.record import Record, write_controller_record
from etcd_steward.run import Sight
from etcd_steward.schedule import schedule
from etcd_steward.settings import read_settings
from etcd_steward.topology import Cluster, Member, build_cluster
from etcd_steward.work import ROLES, key_owner, leaf_spec, tools

# What pyinfra works out again and again, though it never changes.
CONNECTORS = functools.cache(get_all_connectors)
ARGUMENTS = functools.cache(all_global_arguments)
PROBE = 'say "probe 1"'  # every probe has this text, and nothing else has


@dataclass
class FakeHost:
    """A host that is not there.

    Args:
        name: its inventory name, such as `@fake/n1`.
        data: its inventory data.
        lines: what it answers to the probe; a test may exchange them while a run goes on.
        reachable: whether a connection to it can be made.
        refusal: what every command writes to its errors, and fails.
        reply: what it answers to any other command: lines, or None for a failure.
        given: what the command that it answers now got over standard input.
        hangs: whether it never answers a command.
    """

    name: str
    data: dict[str, Any]
    lines: list[str] = field(default_factory=list)
    reachable: bool = True
    refusal: str = ""
    reply: Callable[[str], list[str] | None] = lambda _command: []
    groups: tuple[str, ...] = ("etcd",)
    given: str = ""
    hangs: Callable[[str], bool] = lambda _command: False


@dataclass(frozen=True)
class Result:
    """What a run did.

    Args:
        refused: the text of the error that stopped the run before any change; empty where it was not stopped.
        failed: the hosts that failed something, or could not be connected to.
        commands: every command that each host was given, in order.
        stdout: what was printed for machines and people.
        log: what pyinfra would have printed on the way.
        stdin: what each host was given over standard input.
        uploads: the paths that files were copied to on each host.
        operations: the names of the operations, in order.
    """

    refused: str
    failed: set[str]
    commands: dict[str, list[str]]
    stdout: str
    log: str
    state: State
    stdin: dict[str, list[str]]
    uploads: dict[str, list[str]]
    operations: list[str]

    @property
    def only_looked(self) -> bool:
        """Whether no host was given anything but the probe."""
        commands = [command for told in self.commands.values() for command in told]
        return all(PROBE in command for command in commands) and not any(self.stdin.values())


class World:
    """One cluster of pretended hosts, with real authorities in a folder of the test's own.

    Args:
        folder: an empty folder; `pki` is made in it where `formed` is true.
        names: member names; hosts are called `@fake/<name>`.
        formed: whether the cluster has been made: the controller has authorities and a closed record.
        init: openrc or systemd.
        net: the first three numbers of the members' addresses.
        cluster: the cluster's name.
        now: when the authorities and certificates were made.
        data: further settings of all hosts.
    """

    def __init__(
        self,
        folder: Path,
        names: tuple[str, ...] = ("n1", "n2", "n3"),
        *,
        formed: bool = True,
        init: str = "openrc",
        net: str = "198.18.99",
        cluster: str = "etcd",
        now: datetime | None = None,
        **data: Any,
    ) -> None:
        self.now = now or datetime.now(UTC)
        self._answers: dict[tuple[object, ...], list[str]] = {}
        self.init = init
        self.pki = folder / "pki"
        shared = {
            "etcd_pki_dir": str(self.pki),
            "etcd_cluster": cluster,
            "fake_delay": 0,
            "fake_delay_jitter": 0,
        }
        self.hosts = {
            f"@fake/{name}": FakeHost(
                f"@fake/{name}",
                {**shared, "etcd_address": f"{net}.{number}", **data},
                groups=(data.get("etcd_inventory_group", "etcd"),),
            )
            for number, name in enumerate(names, 11)
        }
        settings = {}
        for host in self.hosts.values():
            own, wrong = read_settings(host.name, host.data)
            assert own is not None, wrong
            assert not wrong, wrong
            settings[host.name] = own
        built, wrong = build_cluster(cluster, settings, {}, {})
        assert built is not None, wrong
        self.cluster: Cluster = built
        self.version = versions.parse(self.cluster.settings.etcd_version)
        self.record = Record.new(self.cluster).closed()
        self.authorities: Authorities | None = None
        if formed:
            self.form()
        for host in self.hosts:
            self.show(host, "converged" if formed else "empty")

    def form(self) -> None:
        """Make the authorities and the controller's record."""
        store = Store(self.pki / self.cluster.name)
        self.authorities = store.create(
            leaf_spec(self.cluster.members[0], "health").subject, self.cluster.settings.etcd_ca_days, self.now
        )
        write_controller_record(self.pki / self.cluster.name, self.record)

    def show(self, host: str, condition: str, **changes: Any) -> None:
        """Put a host into a condition; see `lines`."""
        self.hosts[host].lines = self.lines(host, condition, **changes)

    def lines(self, host: str, condition: str = "converged", **changes: Any) -> list[str]:
        """Write the probe's answer of a host.

        Args:
            host: its inventory name.
            condition: `empty` (nothing installed), `converged`, `stopped` (all there, service down), `half`
                (stopped, without its database), `unhealthy` (runs, but no quorum answers).
            changes: see `_converged`.
        """
        member = self.cluster.member(host)
        if condition == "empty":
            return self._frame(self._machine(member), [])
        known = (host, self.record.text(), id(self.authorities), repr(sorted(changes.items())))
        if known not in self._answers:
            self._answers[known] = self._converged(member, **changes)
        lines = list(self._answers[known])
        if condition != "converged":
            stopped = condition in {"stopped", "half"}
            lines = [line for line in lines if not line.startswith(("etcd ",))]
            lines.insert(-1, "etcd health no connection refused")
            if stopped:
                lines = [
                    line
                    for line in lines
                    if not line.startswith(
                        (
                            "service Status",
                            "service ActiveState",
                            "service Process",
                            "service Manifest",
                            "process ",
                        )
                    )
                ]
                lines.insert(
                    -1, "service Status=3" if self.init == "openrc" else "service ActiveState=inactive"
                )
            if condition == "half":
                lines = [line for line in lines if not line.startswith("data db")]
        return lines

    def sight(self, unreached: tuple[str, ...] = ()) -> Sight:
        """Read what the hosts answer, without pyinfra.

        Args:
            unreached: hosts that give no answer.
        """
        moment = time.time()
        states = {
            name: HostState(name, problem="no route to host")
            if name in unreached
            else replace(parse_probe(name, host.lines), sent=moment - 1, received=moment)
            for name, host in self.hosts.items()
        }
        seen, _ = see_cluster(dict(states))
        records = {name: record for name, state in states.items() if (record := Record.read(state.record))}
        return Sight(self.cluster, states, seen, records, Credentials.look(self.cluster, states))

    def member_id(self, member: Member) -> int:
        """Return a member's id."""
        return int(self.record.members[member.name], 16)

    def status(self, member: Member, leader: Member) -> str:
        """Write the line in which a member tells its status, as `await.sh` prints it."""
        told = self._endpoint(member, int(self.record.id, 16), None, (), False, leader, self.version, 42)
        return told[1].removeprefix("etcd ")

    def _frame(self, machine: list[str], rest: list[str]) -> list[str]:
        return ["probe 1", f"now {int(time.time())}", *machine, *rest, "end"]

    def _machine(self, member: Member) -> list[str]:
        address = member.address
        return [
            "uid 0",
            "machine x86_64",
            f"hostname {member.name}",
            f"mark 5d0b2a52-6f3c-4c46-9ad1-8f9a3a6c1c11:[{self.cluster.members.index(member)}]",
            f"init {self.init}",
            "os ID=alpine",
            'os PRETTY_NAME="Alpine Linux v3.23"',
            "free 9999999 /",
            f"interface eth0 {address}",
        ]

    def _converged(
        self,
        member: Member,
        *,
        now: datetime | None = None,
        version: str | None = None,
        listed: tuple[Member, ...] | None = None,
        strangers: tuple[dict[str, Any], ...] = (),
        learner: bool = False,
        alarms: tuple[str, ...] = (),
        aside: tuple[str, ...] = (),
        cluster_id: int | None = None,
        leader: Member | None = None,
        raft: int = 42,
        often: bool = False,
    ) -> list[str]:
        """Write the answer of a member that is as it should be.

        Args:
            now: when its certificates were made.
            version: the release that runs, where it is not the wanted one.
            listed: the members in the cluster's list.
            strangers: further entries of that list.
            learner: whether this member is listed as a learner.
            alarms: such as NOSPACE.
            aside: paths that lie aside.
            cluster_id: where it is not the record's.
            leader: who leads; the first member otherwise.
            raft: the raft index.
            often: whether it makes raft snapshots often.
        """
        assert self.authorities is not None
        settings, service = member.settings, member.settings.etcd_service
        release = versions.parse(version or str(self.version))
        texts = (self.authorities.client.pem, self.authorities.peer.pem)
        state = HostState(member.host, reached=True, init=self.init, machine="x86_64")
        own = replace(member, settings=frequent(settings)) if often else member
        wanted = desired(self.cluster, own, state, self.record, release, texts)
        lines = ["account 100 101", "group 101", f"release {release} {'0' * 64}"]
        lines += [f"link {tool} {settings.etcd_prefix}/{release}/{tool}" for tool in tools(release)]
        lines += [f"file {file.sha256} {file.mode} {file.owner} {file.path}" for file in wanted.files]
        pems = {
            settings.certificate_path("ca", member.name): texts[0],
            settings.certificate_path("peer_ca", member.name): texts[1],
        }
        for role in ROLES:
            pair = issue(self.authorities.for_role(role), leaf_spec(member, role), now=now or self.now)
            owner, mode = key_owner(member, role)
            path = settings.certificate_path(role, member.name)
            key_path = settings.certificate_path(f"{role}_key", member.name)
            pems[path] = pair.certificate_pem
            lines.append(f"file {_digest(pair.key_pem)} {mode} {owner} {key_path}")
            lines.append(f"file {_digest(pair.certificate_pem)} 644 root:root {path}")
        lines += [f"pem {path} {line}" for path, pem in pems.items() for line in pem.splitlines()]
        lines += [f"settled {wanted.settled}", *([] if self.record.open else ["formed"])]
        lines += [f"started {word} {rest}" for word, rest in wanted.started.items()]
        lines += [f"record {self.record.text(member).strip()}"]
        lines += self._pod(state, member, wanted) if settings.pod else self._service(service)
        lines += self._schedule(member)
        flag = "--data-dir" if settings.pod else "--config-file"
        lines += [f"process 4711 {settings.etcd_bin_dir}/etcd {flag}={settings.process_mark}"]
        number = cluster_id or int(self.record.id, 16)
        identity = self.member_id(member)
        owner = ":".join(settings.run_as)
        lines += [
            f"data folder 700 {owner}",
            "data member",
            "data db 20480",
            f"data wal {wal_head(identity, number).hex()}",
        ]
        if settings.etcd_wal_dir:
            lines.append(f"data wal-folder 700 {owner}")
        lines += [f"aside {path}" for path in aside]
        lines += ["time installed", "time enabled"]
        lines += self._endpoint(member, number, listed, strangers, learner, leader, release, raft)
        lines += [f"etcd alarm {alarm}" for alarm in alarms]
        return self._frame(self._machine(member), lines)

    def _pod(self, state: HostState, member: Member, wanted: Desired) -> list[str]:
        """Write what is told of a host that is fit for static pods, and of the pod on it."""
        settings = member.settings
        program = settings.etcd_container_runtime
        fit = [
            *(f"node module {module}" for module in MODULES),
            *(f"node sysctl {key}={value}" for key, value in SYSCTLS.items()),
            *(f"node program {name}" for name in ("kubelet", program)),
            *(f"node unit {name}.service" for name in ("kubelet", program)),
            "node packaged-unit kubelet.service",
            "node cgroup v2",
        ]
        seen = replace(state, node={"packaged-unit": ("kubelet.service",), "program": ("kubelet",)})
        text = next(file for file in wanted.files if file.path == settings.config_path)
        return [
            *fit,
            *(
                f"file {file.sha256} {file.mode} {file.owner} {file.path}"
                for file in node_files(settings, seen)
            ),
            f"file {text.sha256} 600 root:root {settings.manifest_path}",
            "service Process=4711",
            "service Kubelet=active",
            f"service Manifest={settings.manifest_path}",
            "service UnitFileState=enabled",
        ]

    def _service(self, service: str) -> list[str]:
        if self.init == "openrc":
            return [
                "service Status=0",
                "service UnitFileState=enabled",
                f"service FragmentPath=/etc/init.d/{service}",
            ]
        return [
            "service LoadState=loaded",
            "service ActiveState=active",
            "service SubState=running",
            "service UnitFileState=enabled",
            f"service FragmentPath=/etc/systemd/system/{service}.service",
            "service NeedDaemonReload=no",
        ]

    def _schedule(self, member: Member) -> list[str]:
        """Write what is told of a schedule that was set up a minute ago, so that no snapshot is due yet."""
        own = schedule(self.cluster, member, self.init)
        if not own.wanted:
            return []
        return [
            *(f"file {file.sha256} {file.mode} {file.owner} {file.path}" for file in own.files),
            f"schedule since={int(time.time()) - 60}",
            "schedule ActiveState=active",
            "schedule UnitFileState=enabled",
            *([f"schedule line={own.line}"] if own.line else ["schedule NeedDaemonReload=no"]),
        ]

    def _endpoint(
        self,
        member: Member,
        number: int,
        listed: tuple[Member, ...] | None,
        strangers: tuple[dict[str, Any], ...],
        learner: bool,
        leader: Member | None,
        release: versions.Version,
        raft: int,
    ) -> list[str]:
        identity = self.member_id(member)
        header = {"cluster_id": number, "member_id": identity, "revision": 7, "raft_term": 2}
        members = [
            {
                "ID": self.member_id(one),
                "name": one.name,
                "peerURLs": [one.peer_url],
                "clientURLs": [one.client_url],
            }
            | ({"isLearner": True} if learner and one is member else {})
            for one in (self.cluster.members if listed is None else listed)
        ]
        status = {
            "header": header,
            "version": str(release),
            "dbSize": 20480,
            "dbSizeInUse": 16384,
            "leader": self.member_id(leader or self.cluster.members[0]),
            "raftIndex": raft,
            "raftTerm": 2,
            "raftAppliedIndex": raft,
        }
        if learner:
            status["isLearner"] = True
        return [
            "etcd health yes",
            "etcd status " + json.dumps([{"Endpoint": member.loopback_url, "Status": status}]),
            "etcd members " + json.dumps({"header": header, "members": [*members, *strangers]}),
        ]


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def wal_head(member: int, cluster: int) -> bytes:
    """Write the beginning of a write-ahead log, as `etcd_steward.identity` reads it."""
    metadata = b"\x08" + _varint(member) + b"\x10" + _varint(cluster)
    records = [b"\x08\x04\x10\x00", b"\x08\x01\x1a" + _varint(len(metadata)) + metadata]
    head = b""
    for record in records:
        padding = -len(record) % 8
        length = len(record) | ((0x80 | padding) << 56 if padding else 0)
        head += length.to_bytes(8, "little") + record + bytes(padding)
    return head


def _varint(number: int) -> bytes:
    octets = b""
    while number > 0x7F:
        octets += bytes([number & 0x7F | 0x80])
        number >>= 7
    return octets + bytes([number])


def _timely(lines: list[str]) -> list[str]:
    """Let a clock that was right when the test began still be right."""
    word, _, told = lines[1].partition(" ") if len(lines) > 1 else ("", "", "")
    if word == "now" and 0 <= time.time() - int(told) < 60:
        lines[1] = f"now {int(time.time())}"
    return lines


def _add_from_command_line(state: State, verb: Callable[[], Any]) -> None:
    state.set_stage(StateStage.Prepare)
    with mock.patch("pyinfra.is_cli", new=True), ctx_state.use(state):
        for host in state.inventory.get_active_hosts():
            with ctx_host.use(host):
                verb()
    state.get_op_order()


def run_deploy(
    hosts: dict[str, FakeHost],
    verb: Callable[[], Any],
    *,
    yes: bool = True,
    data: dict[str, Any] | None = None,
    limit: list[str] | None = None,
    mode: str = "",
    debug: bool = False,
    cli: bool = False,
) -> Result:
    """Run a verb over pretended hosts, as `pyinfra -y INVENTORY deploys/VERB.py` does.

    Args:
        hosts: the hosts by inventory name.
        verb: such as `etcd_steward.verbs.etcd`.
        yes: without it, pyinfra runs every operation twice: once to tell what would change.
        data: what `--data` sets.
        limit: inventory names, as `--limit` names them.
        mode: `dry`, `serial` or `no_wait`, as pyinfra's options of these names.
        debug: as with `--debug`, which logs every command.
        cli: operations are told apart as the command line does, by lines of source and positions in loops.

    Returns:
        What it did.
    """
    stdin: dict[str, list[str]] = {name: [] for name in hosts}
    uploads: dict[str, list[str]] = {name: [] for name in hosts}
    commands: dict[str, list[str]] = {name: [] for name in hosts}

    def connect(self: FakeConnector) -> None:
        if not hosts[self.host.name].reachable:
            raise ConnectError("no route to host")

    def lookup(self: FakeConnector, command: str) -> tuple[bool, CommandOutput]:
        host = hosts[self.host.name]
        commands[host.name].append(command)
        if host.refusal:
            return False, CommandOutput([OutputLine("stderr", line) for line in host.refusal.splitlines()])
        if host.hangs(command):
            Event().wait()
        lines = _timely(list(host.lines)) if PROBE in command else host.reply(command)
        return lines is not None, CommandOutput([OutputLine("stdout", line) for line in lines or ()])

    run_shell_command = FakeConnector.run_shell_command

    def run(self: FakeConnector, command: Any, *args: Any, **arguments: Any) -> tuple[bool, CommandOutput]:
        if arguments.get("_stdin"):
            stdin[self.host.name].append(str(arguments["_stdin"]))
        hosts[self.host.name].given = str(arguments.get("_stdin") or "")
        return run_shell_command(self, command, *args, **arguments)

    def put_file(self: FakeConnector, _source: Any, target: str, *_args: Any, **_arguments: Any) -> bool:
        uploads[self.host.name].append(target)
        return True

    groups: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for host in hosts.values():
        for group in host.groups:
            groups.setdefault(group, ([], {}))[0].append(host.name)
    # pyinfra reads the metadata of all installed packages for every host, to find its connectors.
    with mock.patch("pyinfra.api.inventory.get_all_connectors", CONNECTORS):
        inventory = Inventory(
            ([(host.name, host.data) for host in hosts.values()], {}), override_data=data or {}, **groups
        )
    stdout, log = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(log)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    chosen = None if limit is None else [inventory.get_host(name) for name in limit]
    state = State(inventory, Config(), check_for_changes=not yes or mode == "dry", initial_limit=chosen)
    refused = ""
    try:
        with (
            mock.patch.object(FakeConnector, "connect", connect),
            mock.patch.object(FakeConnector, "_lookup_response", lookup),
            mock.patch.object(FakeConnector, "run_shell_command", run),
            mock.patch.object(FakeConnector, "put_file", put_file),
            mock.patch("pyinfra.api.arguments.all_global_arguments", ARGUMENTS),
            contextlib.redirect_stdout(stdout),
        ):
            try:
                connect_all(state)
                _add_from_command_line(state, verb) if cli else add_deploy(state, verb)
                if mode != "dry":
                    run_ops(state, serial=mode == "serial", no_wait=mode == "no_wait")
            finally:
                disconnect_all(state)
    except (DeployError, PyinfraError) as error:
        refused = str(error)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    failed = {host.name for host in state.failed_hosts}
    operations = [", ".join(sorted(state.get_op_meta(op).names)) for op in state.get_op_order()]
    return Result(
        refused, failed, commands, stdout.getvalue(), log.getvalue(), state, stdin, uploads, operations
    )
