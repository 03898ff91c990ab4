"""Pretended hosts that react: what is started runs from then on, and etcd's questions are answered."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from functools import partial

from etcd_steward.authority import Store
from etcd_steward.record import read_controller_record
from tests.engine.fakes import FakeHost, World

START, STOP = "rc-service --quiet etcd start", "rc-service --quiet etcd stop"
OTHERS, AWAIT, PEERS = "for endpoint in $endpoints", "until=$((up + seconds))", "for peer in $peers"
SHOWN = "peer_endpoint="
WRITE = "put() {"
SCHEDULE = "etcd-snapshot"
MEMBERS = 'member add "$name" --learner'
ASIDE, COMPACT, DEFRAGMENT = 'mv -nT "$path" "$to"', "compaction --physical", 's" defrag &'
SERVING, DISARM, ALARMS = "get etcd-steward", "alarm disarm", "say listed"
OWN_STATUS = 'newest "$prefix"\nif ctl'
LOCK = "file=/run/etcd-steward.root/lock"
PUT, GET, MOVE = 'put "$name" "$value"', "get --print-value-only", "move-leader"


def value(command: str, name: str) -> str:
    """Give a variable that was set in front of a script."""
    line = next(line for line in command.splitlines() if line.startswith(f"{name}="))
    return shlex.split(line)[0].partition("=")[2]


class Living:
    """Lets the hosts of a world react.

    Args:
        world: the hosts; those that are converged run.
        fails: says whether a host fails a command: `before` it did anything, `after` it did all, or an empty text.
    """

    def __init__(self, world: World, fails: Callable[[str, str], str] = lambda _host, _command: "") -> None:
        self.world, self.fails = world, fails
        self.leader = world.cluster.members[0]
        self.alarms: tuple[str, ...] = ()
        self.removed: set[str] = set()
        self.dense: set[str] = set()
        self.shown: object = None
        self.keys: dict[str, str] = {}
        self.events: list[tuple[str, str]] = []
        self.running = {name for name, host in world.hosts.items() if "service Status=0" in host.lines}
        # Who has ever been started is listed with its name and its URLs.
        self.known = self.running | {name for name, host in world.hosts.items() if "formed" in host.lines}
        for name, host in world.hosts.items():
            host.reply = partial(self.reply, name)

    @property
    def hosts(self) -> dict[str, FakeHost]:
        return self.world.hosts

    def happened(self, event: str) -> list[str]:
        """Name the hosts on which something happened, in order: start, stop, write, schedule."""
        return [host for host, what in self.events if what == event]

    def reply(self, host: str, command: str) -> list[str] | None:
        failing = self.fails(host, command)
        if failing == "before":
            return None
        if STOP in command:
            self.events.append((host, "stop"))
            self.running.discard(host)
        if WRITE in command:
            self.events.append((host, "schedule" if SCHEDULE in command else "write"))
        if START in command:
            self.events.append((host, "start"))
            self.running.add(host)
            self.known.add(host)
        if WRITE in command or START in command:
            self._show()
        if ASIDE in command:
            self.events.append((host, "aside"))
            self.running.discard(host)
            self.world.show(host, "empty")
        if DEFRAGMENT in command:
            self.events.append((host, "defragment"))
            self.dense.add(host)
            self._show()
        answer = self._answer(host, command)
        return None if failing else answer

    def _show(self) -> None:
        """Let all that run answer; what was begun in this run lies on the controller, as hosts get it from there."""
        folder = self.world.pki / self.world.cluster.name
        self.world.record = read_controller_record(folder) or self.world.record
        if self.world.authorities is None:
            self.world.authorities = Store(folder).load()
        members = self.world.cluster.members
        listed = tuple(one for one in members if one.host in self.known)
        unstarted = tuple(
            {"ID": self.world.member_id(one), "peerURLs": [one.peer_url]}
            for one in members
            if one not in listed and one.host not in self.removed
        )
        quorum = len(self.running) > (len(members) - len(self.removed)) // 2
        now = (self.world.record, self.leader, listed, frozenset(self.running), self.alarms, len(self.dense))
        if now == self.shown:
            return
        self.shown = now
        for host in self.running:
            if quorum:
                self.world.show(
                    host,
                    "converged",
                    leader=self.leader,
                    listed=listed,
                    strangers=unstarted,
                    alarms=self.alarms,
                )
            else:
                self.world.show(host, "unhealthy")
            self.hosts[host].lines = [self._sized(host, line) for line in self.hosts[host].lines]

    def _sized(self, host: str, line: str) -> str:
        return line.replace('"dbSize": 20480', '"dbSize": 16384') if host in self.dense else line

    def _answer(self, host: str, command: str) -> Sequence[str]:  # noqa: PLR0911 - one for each question
        if LOCK in command:
            return [] if value(command, "release") else ["taken"]
        if ALARMS in command:
            return [*(f"alarm {alarm}" for alarm in self.alarms), "listed"]
        if OTHERS in command:
            return [self._status_of(url) for url in value(command, "endpoints").split()]
        if OWN_STATUS in command:
            return [self._status(host)] if host in self.running else ["untold connection refused"]
        if AWAIT in command:
            return [self._status(host)] if host in self.running else ["waiting connection refused"]
        if PEERS in command:
            return [f"peer {url} {url} is healthy" for url in value(command, "peers").split()]
        if SHOWN in command:
            urls = (value(command, name) for name in ("endpoint", "peer_endpoint"))
            return [f"shown {url} {url} is healthy" for url in urls]
        if PUT in command:
            self.keys[value(command, "name")] = value(command, "value")
        if GET in command:
            return [f"value {self.keys[value(command, 'name')]}"]
        if MEMBERS in command:
            action = value(command, "action")
            self.events += [(host, action)] if action != "list" else []
            if action == "remove":
                self._leave(int(value(command, "id"), 16))
            return ["done"] if action != "list" else [self._list(host)]
        if MOVE in command:
            heir = int(value(command, "heir"), 16)
            self.leader = next(m for m in self.world.cluster.members if self.world.member_id(m) == heir)
            self.events.append((host, "move"))
            return ["moved"]
        if COMPACT in command:
            self.events.append((host, "compact"))
            return ["compacted"]
        if SERVING in command:
            return [self._status_of(url) for url in value(command, "endpoints").split()]
        if DISARM in command:
            self.alarms = ()
            self._show()
            self.events.append((host, "disarm"))
            return ["disarmed"]
        return []

    def _leave(self, number: int) -> None:
        """Let a member go: its process ends, and the others no longer list it."""
        gone = next(m for m in self.world.cluster.members if self.world.member_id(m) == number)
        self.removed.add(gone.host)
        self.known.discard(gone.host)
        if gone.host in self.running:
            self.running.discard(gone.host)
            self.world.show(gone.host, "unhealthy")
        self._show()

    def _status_of(self, url: str) -> str:
        member = next((one for one in self.world.cluster.members if one.client_url == url), None)
        if member is None or member.host not in self.running:
            return f"down {url} connection refused"
        return self._status(member.host).replace("status ", f"status {url} ", 1)

    def _list(self, host: str) -> str:
        return next(line for line in self.hosts[host].lines if line.startswith("etcd members ")).removeprefix(
            "etcd "
        )

    def _status(self, host: str) -> str:
        return self._sized(host, self.world.status(self.world.cluster.member(host), leader=self.leader))
