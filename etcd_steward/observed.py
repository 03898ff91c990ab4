"""What was seen on the hosts and of the cluster, as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from etcd_steward.addresses import Held, is_ip
from etcd_steward.identity import Identity
from etcd_steward.snapshots import Manifest
from etcd_steward.storage import Storage
from etcd_steward.topology import listed_urls

__all__ = [
    "ClusterState",
    "Data",
    "Endpoint",
    "File",
    "HostState",
    "ListedMember",
    "Process",
    "ScheduleState",
    "Service",
    "disputed",
    "holds",
    "known_addresses",
    "listed_members",
    "refuses_user",
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


class Placed(Protocol):
    """Something that should lie in a file: its text, mode and owner."""

    @property
    def content(self) -> str:
        """The text."""

    @property
    def mode(self) -> str:
        """Octal, without a leading zero."""

    @property
    def owner(self) -> str:
        """The owner as `user:group`."""


def holds(found: File | None, wanted: Placed) -> bool:
    """Tell whether a path holds what it should, with the right mode and owner.

    Args:
        found: the path as it is, or None where nothing is there.
        wanted: what should be there.
    """
    digest = hashlib.sha256(wanted.content.encode()).hexdigest()
    return found is not None and (found.sha256, found.mode, found.owner) == (
        digest,
        wanted.mode,
        wanted.owner,
    )


NO_LOG = "the write-ahead log"
# What begins the word for a static pod that nobody starts again.
UNTENDED = "kubelet"


@dataclass(frozen=True)
class Data:
    """What a data folder holds; a probe that failed is `unknown`, never `empty`.

    Args:
        value: empty, complete, half or unknown.
        identity: the ids in the write-ahead log.
        missing: which half is missing, or what could not be read.
        size: bytes of the database.
    """

    value: Literal["empty", "complete", "half", "unknown"] = "unknown"
    identity: Identity | None = None
    missing: str = ""
    size: int = 0


@dataclass(frozen=True)
class Process:
    """A running etcd: its process id, and the configuration file it was started with; whether we wrote that file."""

    pid: int
    command: str
    config: str
    ours: bool = False


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


# What etcd 3.4 to 3.7 say of a user whom they do not know, who has no rights, or who was not named at all; each looked at.
_REFUSED = (
    "etcdserver: permission denied",
    "user name is empty",
    "user name not found",
    "auth: user not found",
)


def refuses_user(said: str) -> bool:
    """Tell whether a refusal is one of etcd's authentication, and not of a member that cannot answer.

    Args:
        said: what etcdctl said.
    """
    return any(sign in said for sign in _REFUSED)


@dataclass(frozen=True)
class Endpoint:
    """What the member's own endpoint answered.

    Args:
        healthy: a linearizable read succeeded.
        error: why not, in etcdctl's words.
        status: the decoded answer of `endpoint status`, or None.
        members: the decoded answer of `member list`, or None.
        alarms: the alarms that are raised.
        untold: why there is no status: what was said, or the answer that cannot be read.
        denied: why there is no list of members, likewise.
        unread: why a key was not read.
        across: the client URL of another member that was tried from this host, and why it was not reached, or an empty
            text; None where none was tried.
    """

    healthy: bool = False
    error: str = ""
    status: dict[str, Any] | None = None
    members: dict[str, Any] | None = None
    alarms: tuple[str, ...] = ()
    untold: str = ""
    denied: str = ""
    unread: str = ""
    across: tuple[str, str] | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing listens on the member's port: it serves nobody, whatever its service manager says of it."""
        return not self.healthy and "nothing listens" in self.error

    @property
    def locked(self) -> str:
        """What etcd's authentication said where it refused us; empty where it did not: whoever says so serves."""
        told = (self.unread, self.denied, self.untold, self.error)
        return next((said for said in told if refuses_user(said)), "")


@dataclass(frozen=True)
class ScheduleState:
    """What starts the scheduled snapshots on a host: systemd's timer, or the line in root's crontab and crond.

    Args:
        since: when the job was written, by the host's clock, seconds since 1970.
        enabled: the timer, or crond, starts at boot.
        active: it runs.
        reload_due: the timer on disk is not the one that is loaded.
        line: our line in root's crontab.
    """

    since: int | None = None
    enabled: bool = False
    active: bool = False
    reload_due: bool = False
    line: str = ""


@dataclass(frozen=True)
class HostState:
    """Everything that one probe told of one host; `reached` is False where it told nothing."""

    host: str
    reached: bool = False
    problem: str = "not probed"
    # What helps where it told nothing: a host that is up, and refuses us, is not to be brought back.
    mend: str = "bring it back"
    now: int = 0
    sent: float = 0.0
    received: float = 0.0
    uid: int = -1
    machine: str = ""
    mark: str = ""
    lock: str = ""
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
    listed: str = ""
    started: dict[str, str] = field(default_factory=dict)
    record: dict[str, Any] | None = None
    service: Service = Service()
    foreign_units: tuple[str, ...] = ()
    processes: tuple[Process, ...] = ()
    # What the host itself says that nobody can look for there: it is not the same as none.
    blind: tuple[str, ...] = ()
    free_mb: int = 0
    mount: str = ""
    storage: Mapping[str, Storage] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    data: Data = Data()
    aside: tuple[str, ...] = ()
    left: dict[str, int] = field(default_factory=dict)
    listening: tuple[int, ...] = ()
    unresolved: tuple[str, ...] = ()
    resolved: dict[str, tuple[str, ...]] = field(default_factory=dict)
    held: tuple[Held, ...] = ()
    time: frozenset[str] = frozenset()
    zone: str = ""
    endpoint: Endpoint = Endpoint()
    snapshots: tuple[Manifest, ...] = ()
    schedule: ScheduleState = ScheduleState()
    node: dict[str, tuple[str, ...]] = field(default_factory=dict)

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
        # Its status may be refused for want of a user (3.5.30); a quorum answers all the same.
        if not (answer.healthy and answer.members and (answer.status or answer.locked)):
            continue
        cluster = int(answer.members["header"]["cluster_id"])
        ids.add(cluster)
        if found is None:
            listed = tuple(listed_members(answer.members))
            found = ClusterState(cluster, listed, int((answer.status or {}).get("leader", 0)), host)
    return found, ids


def known_addresses(
    hosts: Mapping[str, HostState], seen: ClusterState | None, names: Mapping[str, str]
) -> dict[str, list[str]]:
    """Name the IP addresses by which members are known: to the cluster, or, without an answer, to their own configuration.

    Args:
        hosts: the probed hosts.
        seen: what a quorum says of the cluster.
        names: the members' names by host.

    Returns:
        For each host its addresses, of which there may be none.
    """
    found = {}
    for host, state in hosts.items():
        identity = state.data.identity
        if seen is None:
            listed = listed_urls([state.listed])
            urls = [listed[names[host]]] if names[host] in listed else []
        else:
            number = identity.member if identity and identity.cluster == seen.id else None
            own = [one for one in seen.members if one.id == number] or [
                one for one in seen.members if identity is None and one.name == names[host]
            ]
            urls = [url for one in own for url in one.peer_urls]
        found[host] = [address for url in urls if is_ip(address := _hostname(url))]
    return found


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # half a bracket: what a cluster lists is what others told it
        return ""


def disputed(hosts: Mapping[str, HostState]) -> str:
    """Compare what all healthy members list: one alone may lie, or be behind.

    Args:
        hosts: the probed hosts.

    Returns:
        Who lists what, where they differ; empty where they agree.
    """
    lists: dict[tuple[tuple[int, tuple[str, ...], bool], ...], list[str]] = {}
    for host, state in sorted(hosts.items()):
        if state.endpoint.healthy and state.endpoint.members:
            listed = listed_members(state.endpoint.members)
            # A name only appears when its member starts, to one a moment before the other.
            essence = tuple(sorted((one.id, one.peer_urls, one.learner) for one in listed))
            lists.setdefault(essence, []).append(host)
    if len(lists) < 2:  # noqa: PLR2004 - a dispute needs two
        return ""
    told = []
    for members, who in lists.items():
        entries = [
            f"{number:016x} at {' '.join(urls)}{' as a learner' if learner else ''}"
            for number, urls, learner in members
        ]
        told.append(f"{', '.join(who)}: {', '.join(entries) or 'nobody'}")
    return "; ".join(told)


def listed_members(answer: dict[str, Any]) -> list[ListedMember]:
    """Read the decoded answer of `etcdctl member list`.

    Args:
        answer: the decoded JSON.

    Returns:
        The members.
    """
    return [_listed(entry) for entry in answer.get("members", ())]


def _listed(entry: dict[str, Any]) -> ListedMember:
    return ListedMember(
        id=int(entry["ID"]),
        name=str(entry.get("name", "")),
        peer_urls=tuple(sorted(entry.get("peerURLs", ()))),
        client_urls=tuple(entry.get("clientURLs", ())),
        learner=bool(entry.get("isLearner", False)),
    )
