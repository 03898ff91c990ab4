"""What was seen on the hosts and of the cluster: plain values, and the parser of the probe's lines."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from etcd_steward.identity import Identity, parse_wal_head

__all__ = [
    "ClusterState",
    "Data",
    "Endpoint",
    "File",
    "HostState",
    "ListedMember",
    "Process",
    "Service",
    "parse_probe",
    "see_cluster",
]


@dataclass(frozen=True)
class File:
    """A managed path as it is on a host.

    Args:
        sha256: digest of its content, or `other` for what is not a file.
        mode: octal, as `stat -c %a` prints it.
        owner: `user:group`.
        ours: whether it says that we wrote it.
    """

    sha256: str
    mode: str
    owner: str
    ours: bool


@dataclass(frozen=True)
class Data:
    """What a data folder holds; a probe that failed is `unknown`, never `empty`.

    Args:
        value: empty, complete, half or unknown.
        identity: the ids in the write-ahead log.
        missing: which half is missing.
        size: bytes of the database.
    """

    value: Literal["empty", "complete", "half", "unknown"] = "unknown"
    identity: Identity | None = None
    missing: str = ""
    size: int = 0


@dataclass(frozen=True)
class Process:
    """A running etcd: its process id, and the configuration file it was started with."""

    pid: int
    command: str
    config: str


@dataclass(frozen=True)
class Service:
    """The service as the init system sees it.

    Args:
        exists: a definition is known.
        running: it is active, or about to be.
        enabled: it starts at boot.
        definition: path of its definition.
        reload_due: the definition on disk is not the one that is loaded.
        word: the init system's own word for its condition.
    """

    exists: bool = False
    running: bool = False
    enabled: bool = False
    definition: str = ""
    reload_due: bool = False
    word: str = "absent"


@dataclass(frozen=True)
class Endpoint:
    """What the member's own endpoint answered.

    Args:
        healthy: a linearizable read succeeded.
        error: why not, in etcdctl's words.
        status: the decoded answer of `endpoint status`, or None.
        members: the decoded answer of `member list`, or None.
        alarms: the alarms that are raised.
    """

    healthy: bool = False
    error: str = ""
    status: dict[str, Any] | None = None
    members: dict[str, Any] | None = None
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostState:
    """Everything that one probe told of one host; `reached` is False where it told nothing."""

    host: str
    reached: bool = False
    problem: str = "not probed"
    now: int = 0
    sent: float = 0.0
    received: float = 0.0
    uid: int = -1
    machine: str = ""
    boot: str = ""
    init: str = "none"
    os_id: str = ""
    os_like: str = ""
    os_name: str = ""
    account: tuple[int, int] | None = None
    group: int | None = None
    releases: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    certificates: dict[str, str] = field(default_factory=dict)
    settled: str = ""
    formed: bool = False
    started: dict[str, str] = field(default_factory=dict)
    record: dict[str, Any] | None = None
    service: Service = Service()
    foreign_units: tuple[str, ...] = ()
    processes: tuple[Process, ...] = ()
    free_mb: int = 0
    mount: str = ""
    folders: dict[str, str] = field(default_factory=dict)
    data: Data = Data()
    aside: tuple[str, ...] = ()
    listening: tuple[int, ...] = ()
    unresolved: tuple[str, ...] = ()
    interfaces: dict[str, str] = field(default_factory=dict)
    time: frozenset[str] = frozenset()
    zone: str = ""
    endpoint: Endpoint = Endpoint()

    def skew(self) -> float:
        """Say by how many seconds the host's clock surely differs from the controller's.

        Only a time outside the span between sending the probe and receiving its answer counts; the host tells whole
        seconds.

        Returns:
            Seconds, positive where the host's clock is ahead; 0 where no difference can be told.
        """
        if self.now > self.received:
            return self.now - self.received
        return min(0.0, self.now + 1 - self.sent)


def parse_probe(host: str, lines: list[str], *, sent: float = 0.0, received: float = 0.0) -> HostState:
    """Read the lines of `templates/probe.sh`.

    Args:
        host: the host's inventory name.
        lines: what the probe printed.
        sent: the controller's time when it was sent, seconds since 1970.
        received: the controller's time when its answer had come.

    Returns:
        The host's state; not reached where the lines do not end as they should, since half an answer is none.
    """
    if not lines or lines[0] != "probe 1" or lines[-1] != "end":
        return HostState(host, problem="the probe's answer was cut short")
    told: dict[str, list[str]] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        told.setdefault(word, []).append(rest)
    try:
        return _host_state(host, told, sent, received)
    except (ValueError, KeyError, IndexError) as error:
        return HostState(host, problem=f"the probe's answer could not be read: {error}")


def _host_state(host: str, told: dict[str, list[str]], sent: float, received: float) -> HostState:
    release = dict(line.replace('"', "").partition("=")[::2] for line in told.get("os", ()))
    account = told.get("account", [""])[0].split()
    free, _, mount = told["free"][0].partition(" ")
    init = told["init"][0]
    return HostState(
        host=host,
        reached=True,
        problem="",
        now=int(told["now"][0]),
        sent=sent,
        received=received,
        uid=int(told["uid"][0]),
        machine=told["machine"][0],
        boot=told["boot"][0],
        init=init,
        os_id=release.get("ID", ""),
        os_like=release.get("ID_LIKE", ""),
        os_name=release.get("PRETTY_NAME", ""),
        account=(int(account[0]), int(account[1])) if account else None,
        group=int(told["group"][0]) if "group" in told else None,
        releases=dict(line.split() for line in told.get("release", ())),
        links=dict(line.split(" ", 1) for line in told.get("link", ())),
        files=_files(told),
        certificates=_texts(told.get("pem", ())),
        settled=told.get("settled", [""])[0],
        formed="formed" in told,
        started=dict(line.split(" ", 1) for line in told.get("started", ()) if " " in line),
        record=_json(told.get("record", [""])[0]),
        service=_service(init, told.get("service", [])),
        foreign_units=tuple(told.get("foreign-unit", ())),
        processes=tuple(_process(line) for line in told.get("process", ())),
        free_mb=int(free) // 1024,
        mount=mount,
        folders=_folders(told.get("data", [])),
        data=_data(told.get("data", [])),
        aside=tuple(told.get("aside", ())),
        listening=tuple(int(port, 16) for port in told.get("listening", ())),
        unresolved=tuple(told.get("unresolved", ())),
        interfaces=dict(line.split(" ", 1) for line in reversed(told.get("interface", []))),
        time=frozenset(told.get("time", ())),
        zone=told.get("zone", [""])[0].rpartition("zoneinfo/")[2],
        endpoint=_endpoint(told.get("etcd", [])),
    )


def _files(told: dict[str, list[str]]) -> dict[str, File]:
    unmarked = set(told.get("unmarked", ()))
    files = {}
    for line in told.get("file", ()):
        digest, mode, owner, path = line.split(" ", 3)
        files[path] = File(digest, mode, owner, path not in unmarked)
    return files


def _texts(lines: Any) -> dict[str, str]:
    texts: dict[str, str] = {}
    for line in lines:
        path, _, text = line.partition(" ")
        texts[path] = texts.get(path, "") + text + "\n"
    return texts


def _json(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _service(init: str, lines: list[str]) -> Service:
    told = dict(line.partition("=")[::2] for line in lines)
    enabled = told.get("UnitFileState", "").startswith("enabled")
    definition = told.get("FragmentPath", "")
    if init == "systemd":
        active = told.get("ActiveState", "inactive")
        return Service(
            exists=told.get("LoadState") == "loaded",
            running=active in {"active", "activating", "reloading"},
            enabled=enabled,
            definition=definition,
            reload_due=told.get("NeedDaemonReload") == "yes",
            word=f"{active} ({told.get('SubState', '')})" if definition else "absent",
        )
    # OpenRC's `status`: 0 started, 3 stopped, 4 stopping, 8 starting, 16 inactive, 32 crashed (rc_service_state).
    words = {
        "0": "started",
        "3": "stopped",
        "4": "stopping",
        "8": "starting",
        "16": "inactive",
        "32": "crashed",
    }
    status = told.get("Status", "")
    return Service(
        exists=bool(definition),
        running=status in {"0", "8"},
        enabled=enabled,
        definition=definition,
        word=words.get(status, f"status {status}") if definition else "absent",
    )


def _process(line: str) -> Process:
    pid, command, config = (line.split(" ", 2) + [""])[:3]
    return Process(int(pid), command, config.partition("=")[2])


def _folders(lines: list[str]) -> dict[str, str]:
    return {
        line.split(" ", 1)[0]: line.split(" ", 1)[1]
        for line in lines
        if line.startswith(("folder ", "wal-folder "))
    }


def _data(lines: list[str]) -> Data:
    told = dict(line.partition(" ")[::2] for line in lines)
    size = int(told.get("db") or 0)
    if "wal" not in told and "db" not in told:
        return Data("empty")
    if "db" not in told:
        return Data("half", parse_wal_head(bytes.fromhex(told["wal"])), "the database (member/snap/db)")
    if "wal" not in told:
        return Data("half", None, "the write-ahead log", size)
    identity = parse_wal_head(bytes.fromhex(told["wal"]))
    if identity is None:
        return Data("half", None, "a readable write-ahead log", size)
    return Data("complete", identity, "", size)


def _endpoint(lines: list[str]) -> Endpoint:
    health = next((line for line in lines if line.startswith("health ")), "health no no answer")
    status = next((_json_list(line[7:]) for line in lines if line.startswith("status ")), None)
    members = next((_json(line[8:]) for line in lines if line.startswith("members ")), None)
    return Endpoint(
        healthy=health == "health yes",
        error="" if health == "health yes" else health.removeprefix("health no ").strip(),
        status=status,
        members=members,
        alarms=tuple(line[6:] for line in lines if line.startswith("alarm ")),
    )


def _json_list(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
        answer = value[0]["Status"]
    except (ValueError, LookupError, TypeError):
        return None
    return answer if isinstance(answer, dict) else None


@dataclass(frozen=True)
class ListedMember:
    """A member as the cluster's own list has it; one that never started has no client URLs."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    learner: bool


@dataclass(frozen=True)
class ClusterState:
    """What a quorum of the cluster says of itself.

    Args:
        id: the cluster's id.
        members: its members.
        leader: the leader's member id.
        source: the host whose endpoint answered both a linearizable read and the member list.
    """

    id: int
    members: tuple[ListedMember, ...]
    leader: int
    source: str

    @property
    def voters(self) -> tuple[ListedMember, ...]:
        """The members that vote."""
        return tuple(member for member in self.members if not member.learner)


def see_cluster(hosts: dict[str, HostState]) -> tuple[ClusterState | None, set[int]]:
    """Find out what the cluster says of itself.

    Args:
        hosts: the probed hosts.

    Returns:
        The answer of a healthy endpoint, or None where no quorum answered; and the ids of all clusters that answered.
    """
    found: ClusterState | None = None
    ids: set[int] = set()
    for host, state in sorted(hosts.items()):
        answer = state.endpoint
        if not (answer.healthy and answer.members and answer.status):
            continue
        cluster = int(answer.members["header"]["cluster_id"])
        ids.add(cluster)
        if found is None:
            listed = tuple(_listed(entry) for entry in answer.members.get("members", ()))
            found = ClusterState(cluster, listed, int(answer.status.get("leader", 0)), host)
    return found, ids


def _listed(entry: dict[str, Any]) -> ListedMember:
    return ListedMember(
        id=int(entry["ID"]),
        name=str(entry.get("name", "")),
        peer_urls=tuple(sorted(entry.get("peerURLs", ()))),
        client_urls=tuple(entry.get("clientURLs", ())),
        learner=bool(entry.get("isLearner", False)),
    )
